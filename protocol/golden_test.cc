// The bytes that other implementations rely on. FANFARE_WRITE_GOLDEN=1 writes them anew, for a
// change of the protocol that is meant.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>

#include "protocol/samples.h"

namespace fanfare::protocol {
namespace {

const std::string kFolder = FANFARE_SOURCE_DIR "/protocol/golden/";

std::string to_hex(std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string hex;
  for (const char c : bytes) {
    hex += kDigits[static_cast<unsigned char>(c) >> 4];
    hex += kDigits[static_cast<unsigned char>(c) & 15];
  }
  return hex;
}

std::string read_without_blanks(const std::string& path) {
  std::ifstream file{path};
  std::string text{std::istreambuf_iterator<char>{file}, {}};
  std::erase_if(text, [](char c) { return c == ' ' || c == '\n'; });
  return text;
}

void write_wrapped(const std::string& path, const std::string& hex) {
  std::ofstream file{path};
  for (std::size_t at = 0; at < hex.size(); at += 96) file << hex.substr(at, 96) << '\n';
}

TEST(Golden, EverySampleEncodesToTheBytesOnFile) {
  const bool rewrite = std::getenv("FANFARE_WRITE_GOLDEN") != nullptr;
  for (const auto& [name, bytes] : samples::golden_bytes()) {
    const std::string path = kFolder + name + ".hex";
    if (rewrite) write_wrapped(path, to_hex(bytes));
    EXPECT_EQ(read_without_blanks(path), to_hex(bytes)) << name;
  }
}

TEST(Golden, TheManualShowsTheSameBytes) {
  const std::string manual = read_without_blanks(FANFARE_SOURCE_DIR "/docs/protocol.md");
  for (const auto& [name, bytes] : samples::golden_bytes()) {
    EXPECT_NE(manual.find("`" + name + "`"), std::string::npos) << name;
    EXPECT_NE(manual.find(to_hex(bytes)), std::string::npos) << name;
  }
}

}  // namespace
}  // namespace fanfare::protocol
