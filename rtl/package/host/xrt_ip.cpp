// The registers and the interrupt of a user-managed kernel through xrt::ip, as C functions: pyxrt does not offer xrt::ip.
// Functions return 0 or a handle where they succeed; what went wrong otherwise is the text of lamforge_ip_error().
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <string>

#include <xrt/xrt_device.h>
#include <xrt/xrt_uuid.h>

#include <experimental/xrt_ip.h>

namespace {
thread_local std::string last_error;

struct Kernel {
    xrt::device device;
    xrt::ip ip;
    std::optional<xrt::ip::interrupt> interrupt;
};

template <typename Action>
int guarded(Action action) {
    try {
        action();
        return 0;
    } catch (const std::exception& error) {
        last_error = error.what();
        return -1;
    }
}
}  // namespace

extern "C" {
const char* lamforge_ip_error() { return last_error.c_str(); }

// Opens the kernel `name` of the xclbin that is loaded on device `index`; null where that fails.
void* lamforge_ip_open(unsigned int index, const char* name) {
    Kernel* kernel = nullptr;
    const int status = guarded([&] {
        xrt::device device{index};
        xrt::ip ip{device, device.get_xclbin_uuid(), std::string{name}};
        kernel = new Kernel{std::move(device), std::move(ip), std::nullopt};
    });
    return status == 0 ? kernel : nullptr;
}

void lamforge_ip_close(void* handle) { delete static_cast<Kernel*>(handle); }

int lamforge_ip_read(void* handle, uint32_t offset, uint32_t* value) {
    return guarded([&] { *value = static_cast<Kernel*>(handle)->ip.read_register(offset); });
}

int lamforge_ip_write(void* handle, uint32_t offset, uint32_t value) {
    return guarded([&] { static_cast<Kernel*>(handle)->ip.write_register(offset, value); });
}

// Takes notice of interrupts from now on.
int lamforge_ip_watch(void* handle) {
    return guarded([&] {
        auto* kernel = static_cast<Kernel*>(handle);
        if (!kernel->interrupt) kernel->interrupt = kernel->ip.create_interrupt_notify();
    });
}

// Waits for an interrupt, at most `milliseconds`, after lamforge_ip_watch(); `came` says whether there was one.
int lamforge_ip_wait(void* handle, int32_t milliseconds, int32_t* came) {
    return guarded([&] {
        const auto status = static_cast<Kernel*>(handle)->interrupt.value().wait(std::chrono::milliseconds{milliseconds});
        *came = status == std::cv_status::no_timeout ? 1 : 0;
    });
}
}
