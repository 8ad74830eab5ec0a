// Forms with files, from whoever fills them in: however the bytes are cut the same parts come out,
// none is longer than the message, and names for files stay in their directory.
//
// The first line of an input is its Content-Type.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/utf8.h"
#include "tests/fuzz/expect.h"
#include "triggers/file_name.h"
#include "triggers/form_part.h"
#include "triggers/multipart_reader.h"

using namespace fanfare;
using namespace fanfare::triggers;

namespace {

struct Parts : MultipartReader::Parts {
  Result<void> on_part(std::string_view head) override {
    FUZZ_EXPECT(!open);
    open = true;
    told.append("part ").append(head);
    const auto part = form_part_of(head);
    if (!part) return part.error();
    if (part->file_name) {
      const std::string name = names.add(safe_file_name(*part->file_name));
      FUZZ_EXPECT(!name.empty() && name.size() < 255 && is_utf8(name));
      FUZZ_EXPECT(name.front() != '.' && name.find_first_of("/\\\r\n") == name.npos);
      FUZZ_EXPECT(name.find('\0') == name.npos);
      told += name;
    }
    told += ":";
    return {};
  }
  Result<void> on_content(std::string_view piece) override {
    FUZZ_EXPECT(open && !piece.empty());
    told += piece;
    content += piece.size();
    return {};
  }
  Result<void> on_part_end() override {
    FUZZ_EXPECT(open);
    open = false;
    told += "\nend\n";
    return {};
  }
  std::string told;
  std::size_t content = 0;
  bool open = false;
  FileNames names;
};

std::string read_all(const std::string& boundary, std::string_view bytes, std::size_t piece) {
  Parts parts;
  MultipartReader reader(boundary, {.parts_max = 20, .head_bytes_max = 300}, parts);
  Result<void> read;
  for (std::size_t at = 0; read && at < bytes.size(); at += piece) {
    read = reader.read(bytes.substr(at, piece));
  }
  FUZZ_EXPECT(parts.content <= bytes.size());
  FUZZ_EXPECT(!reader.is_complete() || (read && !parts.open));
  if (!read) {
    FUZZ_EXPECT(!read.error().message.empty() && !reader.read("x"));
    return parts.told + read.error().message;
  }
  // What is held back may be the beginning of a boundary, or of content.
  return parts.told + (reader.is_complete() ? "complete" : "");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view all{reinterpret_cast<const char*>(data), size};
  const std::size_t line = std::min(all.find('\n'), all.size());
  const auto boundary = multipart_boundary(all.substr(0, line));
  if (!boundary) return 0;
  const std::string_view bytes = all.substr(std::min(line + 1, all.size()));
  const std::string whole = read_all(*boundary, bytes, bytes.size() + 1);
  for (const std::size_t piece : {1u, 3u, 17u}) {
    FUZZ_EXPECT(read_all(*boundary, bytes, piece) == whole);
  }
  return 0;
}
