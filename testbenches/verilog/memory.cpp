// Memory of the bench: files mapped into the address space, and the trace file; called from memory.sv through DPI.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace {
constexpr int kRegions = 72;
constexpr int kRegionBits = 36;  // an address's upper bits name the region: ports first, then the side memory
struct Region {
    uint8_t* data = nullptr;
    uint64_t size = 0;
} regions[kRegions];
FILE* trace = nullptr;

[[noreturn]] void fail(const char* what, const char* detail) {
    std::fprintf(stderr, "bench memory: %s %s\n", what, detail);
    std::exit(3);
}

void map(int region, const char* path) {
    const int file = open(path, O_RDWR);
    struct stat status;
    if (file < 0 || fstat(file, &status) != 0) fail("cannot open", path);
    regions[region].size = static_cast<uint64_t>(status.st_size);
    regions[region].data =
        static_cast<uint8_t*>(mmap(nullptr, status.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0));
    if (regions[region].data == MAP_FAILED) fail("cannot map", path);
    close(file);
}

// BENCH_REGIONS lists `number=path` on lines of their own; BENCH_TRACE names the trace file.
void start() {
    static bool is_started = false;
    if (is_started) return;
    is_started = true;
    const char* list = std::getenv("BENCH_REGIONS");
    if (list == nullptr) fail("needs the environment variable", "BENCH_REGIONS");
    char* copy = strdup(list);
    for (char* part = std::strtok(copy, "\n"); part != nullptr; part = std::strtok(nullptr, "\n")) {
        char* equals = std::strchr(part, '=');
        if (equals == nullptr) fail("cannot read region", part);
        *equals = 0;
        map(std::atoi(part), equals + 1);
    }
    std::free(copy);
    if (const char* path = std::getenv("BENCH_TRACE")) {
        trace = std::fopen(path, "wb");
        if (trace == nullptr) fail("cannot write", path);
    }
}

uint8_t* locate(uint64_t address, uint64_t bytes) {
    start();
    const uint64_t region = address >> kRegionBits, offset = address & ((1ULL << kRegionBits) - 1);
    if (region >= kRegions || regions[region].data == nullptr || offset + bytes > regions[region].size) return nullptr;
    return regions[region].data + offset;
}
}  // namespace

extern "C" {
// Returns 0, or 1 when the address is outside every region (the bus then answers DECERR).
int bench_read(uint64_t address, int bytes, uint32_t* data) {
    std::memset(data, 0, 64);
    const uint8_t* place = locate(address, bytes);
    if (place == nullptr) return 1;
    std::memcpy(data, place, bytes);
    return 0;
}

int bench_write(uint64_t address, int bytes, const uint32_t* data, uint64_t strobes) {
    uint8_t* place = locate(address, bytes);
    if (place == nullptr) return 1;
    const uint8_t* source = reinterpret_cast<const uint8_t*>(data);
    for (int i = 0; i < bytes; ++i)
        if (strobes >> i & 1) place[i] = source[i];
    return 0;
}

// A record: kind, cycle, payload words.
void bench_trace(int kind, int cycle, int words, const uint32_t* data) {
    start();
    const uint32_t head[2] = {static_cast<uint32_t>(kind), static_cast<uint32_t>(cycle)};
    if (trace == nullptr) return;
    std::fwrite(head, 4, 2, trace);
    std::fwrite(data, 4, words, trace);
}
}
