"""kernel.xml: the ports and arguments of the kernel for Vitis and XRT (format of UG1393, RTL Kernel XML File)."""

from xml.etree import ElementTree

from hwsim.arch.config import EngineConfig
from hwsim.arch.registers import KERNEL
from rtl.package.kernel import VLNV, arguments, buses

__all__ = ["CONTROL_PROTOCOL", "kernel_xml"]

CONTROL_PROTOCOL = "user_managed"
"""XRT leaves the control registers to our host code, which reads the error register and the digests too."""
_SCALAR, _GLOBAL = "0", "1"
"""Values of addressQualifier."""


def kernel_xml(config: EngineConfig) -> str:
    """Return the text of kernel.xml for an engine."""
    root = ElementTree.Element("root", versionMajor="1", versionMinor="6")
    kernel = ElementTree.SubElement(
        root,
        "kernel",
        name=KERNEL,
        language="ip",
        vlnv=VLNV,
        attributes="",
        preferredWorkGroupSizeMultiple="0",
        workGroupSize="1",
        interrupt="true",
        hwControlProtocol=CONTROL_PROTOCOL,
    )
    ports = ElementTree.SubElement(kernel, "ports")
    for bus in buses(config):
        ElementTree.SubElement(
            ports,
            "port",
            name=bus.name,
            mode="master" if bus.is_master else "slave",
            range=f"0x{bus.address_bytes - 1:X}" if bus.is_master else f"0x{bus.address_bytes:X}",
            dataWidth=str(bus.data_bits),
            portType="addressable",
            base="0x0",
        )
    args = ElementTree.SubElement(kernel, "args")
    for number, argument in enumerate(each for each in arguments(config) if each.is_writable):
        size = f"0x{argument.bits // 8:X}"
        ElementTree.SubElement(
            args,
            "arg",
            name=argument.name,
            addressQualifier=_GLOBAL if argument.is_address else _SCALAR,
            id=str(number),
            port=argument.bus,
            size=size,
            offset=f"0x{argument.offset:03X}",
            hostOffset="0x0",
            hostSize=size,
            type="void*" if argument.is_address else "uint",
        )
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"
