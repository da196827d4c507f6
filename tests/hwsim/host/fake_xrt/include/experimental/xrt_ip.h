// Stands in for XRT's header of the same name, with its signatures: registers and interrupt go to functions a test sets.
#pragma once
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>

#include "xrt/xrt_device.h"
#include "xrt/xrt_uuid.h"

namespace xrt {
struct fake_kernel {
    uint32_t (*read)(uint32_t) = nullptr;
    void (*write)(uint32_t, uint32_t) = nullptr;
    int32_t (*wait)(int32_t) = nullptr;
    int opened = 0;
};
inline fake_kernel fake;

class ip {
public:
    class interrupt_impl {};
    class interrupt {
    public:
        explicit interrupt(std::shared_ptr<interrupt_impl>) {}
        void enable() {}
        void disable() {}
        void wait() {}
        std::cv_status wait(const std::chrono::duration<int32_t, std::milli>& timeout) const {
            return fake.wait(timeout.count()) != 0 ? std::cv_status::no_timeout : std::cv_status::timeout;
        }
    };

    ip() {}
    ip(const xrt::device&, const xrt::uuid& id, const std::string& name) {
        if (id.to_string() != "0123" || name != "lamforge") throw std::runtime_error("No IP matching '" + name + "'");
        ++fake.opened;
    }
    void write_register(uint32_t offset, uint32_t data) {
        check(offset);
        fake.write(offset, data);
    }
    uint32_t read_register(uint32_t offset) const {
        check(offset);
        return fake.read(offset);
    }
    interrupt create_interrupt_notify() { return interrupt{std::make_shared<interrupt_impl>()}; }

private:
    static void check(uint32_t offset) {
        if (offset + sizeof(uint32_t) > 0x1000) throw std::out_of_range("Cannot read or write outside kernel register space");
    }
};
}  // namespace xrt

extern "C" __attribute__((used, visibility("default"))) inline void fake_xrt_connect(
    uint32_t (*read)(uint32_t), void (*write)(uint32_t, uint32_t), int32_t (*wait)(int32_t)) {
    xrt::fake = {read, write, wait, 0};
}
