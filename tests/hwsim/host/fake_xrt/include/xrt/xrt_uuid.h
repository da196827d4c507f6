// Stands in for XRT's header of the same name: what xrt_ip.cpp needs of it.
#pragma once
#include <string>

namespace xrt {
class uuid {
public:
    uuid() = default;
    explicit uuid(const std::string& text) : text_(text) {}
    std::string to_string() const { return text_; }

private:
    std::string text_;
};
}  // namespace xrt
