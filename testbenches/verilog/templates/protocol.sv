// Generated for engine {{ config.name }}: the engine with identifiers for its masters.
module {{ top }} (
    input  logic clk,
    input  logic rst_n,
    output logic interrupt,
{{ ports | join(",\n") }}
);
{% for name in identifiers %}
    assign {{ name }} = 1'b0;
{% endfor %}
    engine dut (.ap_clk(clk), .ap_rst_n(rst_n), .interrupt(interrupt),
        {{ same | join(",\n        ") }});
endmodule
