// SPDX-License-Identifier: Apache-2.0
// Runs a fuzz target over the files of folders, and over every prefix and some one-byte changes of each, without a fuzzer.
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

int main(int argc, char** argv) {
  std::size_t files = 0;
  LLVMFuzzerTestOneInput(nullptr, 0);
  for (int i = 1; i < argc; ++i) {
    if (!std::filesystem::is_directory(argv[i])) continue;
    for (const auto& entry : std::filesystem::directory_iterator(argv[i])) {
      std::ifstream in(entry.path(), std::ios::binary);
      std::vector<std::uint8_t> bytes{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
      LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
      const std::size_t step = bytes.size() / 256 + 1;
      for (std::size_t at = 0; at < bytes.size(); at += step) {
        LLVMFuzzerTestOneInput(bytes.data(), at);
        const std::uint8_t saved = bytes[at];
        bytes[at] = static_cast<std::uint8_t>(saved ^ 1U << at % 8);
        LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
        bytes[at] = saved;
      }
      ++files;
    }
  }
  std::printf("%zu files\n", files);
  return 0;
}
