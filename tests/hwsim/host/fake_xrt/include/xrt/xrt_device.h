// Stands in for XRT's header of the same name: what xrt_ip.cpp needs of it. Device 0 has an xclbin, no other does.
#pragma once
#include <stdexcept>

#include "xrt/xrt_uuid.h"

namespace xrt {
class device {
public:
    device() = default;
    explicit device(unsigned int index) : index_(index) {}
    uuid get_xclbin_uuid() const {
        if (index_ != 0) throw std::runtime_error("No xclbin is loaded");
        return uuid{"0123"};
    }

private:
    unsigned int index_ = 0;
};
}  // namespace xrt
