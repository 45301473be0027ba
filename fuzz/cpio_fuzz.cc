// SPDX-License-Identifier: Apache-2.0
// cpio archives: what the reader accepts, the writer can write again, and both readings agree.
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "cpio/cpio.h"

namespace {

struct File {
  casemate::cpio::Entry entry;
  casemate::Bytes data;
};

casemate::Result<std::vector<File>> read_all(casemate::ByteView input) {
  using namespace casemate;
  MemorySource source(input);
  cpio::Reader reader(source, {.name_bytes = 4096, .entries = 10'000});
  std::vector<File> files;
  while (auto entry = TRY(reader.next())) {
    File file{*entry, {}};
    Bytes buffer(1000);
    for (;;) {
      const std::size_t got = TRY(reader.read_data(buffer));
      if (got == 0) break;
      append(file.data, ByteView(buffer).first(got));
    }
    if (file.data.size() != file.entry.size) std::abort();
    files.push_back(std::move(file));
  }
  return files;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace casemate;
  const auto files = read_all({data, size});
  if (!files) return 0;
  MemorySink sink;
  cpio::Writer writer(sink);
  for (const File& file : *files) {
    if (!writer.add(file.entry, file.data)) return 0;
  }
  if (!writer.finish()) std::abort();
  const auto again = read_all(sink.data());
  if (!again || again->size() != files->size()) std::abort();
  for (std::size_t i = 0; i < files->size(); ++i) {
    const File& before = (*files)[i];
    const File& after = (*again)[i];
    if (before.entry.name != after.entry.name || before.entry.mode != after.entry.mode || before.entry.mtime != after.entry.mtime ||
        before.entry.uid != after.entry.uid || before.data != after.data) {
      std::abort();
    }
  }
  return 0;
}
