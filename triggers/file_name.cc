#include "triggers/file_name.h"

#include <fmt/format.h>

#include "base/utf8.h"

namespace fanfare::triggers {
namespace {

constexpr std::size_t kEndingBytesMax = 32;

bool is_control(std::string_view sequence) {
  const auto first = static_cast<unsigned char>(sequence[0]);
  if (sequence.size() == 1) return first < 0x20 || first == 0x7F;
  if (sequence.size() == 2) {  // U+0080 to U+009F
    return first == 0xC2 && static_cast<unsigned char>(sequence[1]) < 0xA0;
  }
  // What turns the direction of the text around it, so that "gpj.exe" shows as "exe.jpg".
  return (sequence >= "\u202A" && sequence <= "\u202E") ||
         (sequence >= "\u2066" && sequence <= "\u2069");
}

// From the last dot on, if that is short enough for an ending.
std::string_view ending_of(std::string_view name) {
  const std::size_t dot = name.rfind('.');
  if (dot == name.npos || dot == 0 || name.size() - dot > kEndingBytesMax) return {};
  return name.substr(dot);
}

// Shortens what is before the ending, at the end of a character.
std::string cut(std::string_view name, std::size_t bytes_max) {
  if (name.size() <= bytes_max) return std::string{name};
  const std::string_view ending = ending_of(name);
  std::size_t end = bytes_max - ending.size();
  while (end > 0 && (static_cast<unsigned char>(name[end]) & 0xC0) == 0x80) --end;
  return std::string{name.substr(0, end)}.append(ending);
}

}  // namespace

std::string safe_file_name(std::string_view said) {
  if (const auto slash = said.find_last_of("/\\"); slash != said.npos) {
    said.remove_prefix(slash + 1);
  }
  std::string name;
  while (!said.empty()) {
    const std::size_t size = utf8_sequence(said);
    const std::string_view sequence = said.substr(0, size == 0 ? 1 : size);
    if (size == 0 || is_control(sequence)) {
      name += '_';
    } else {
      name += sequence;
    }
    said.remove_prefix(sequence.size());
  }
  name = name.substr(0, name.find_last_not_of(' ') + 1);
  name.erase(0, std::min(name.find_first_not_of(' '), name.size()));
  if (name.empty() || name == "." || name == "..") return "file";
  if (name.front() == '.' || name.front() == '-') name.front() = '_';
  return cut(name, kFileNameBytesMax);
}

std::string FileNames::add(std::string_view safe_name) {
  std::string name{safe_name};
  for (unsigned i = 2; taken_.contains(name); ++i) {
    const std::string_view ending = ending_of(safe_name);
    name = fmt::format("{}-{}{}", safe_name.substr(0, safe_name.size() - ending.size()), i, ending);
  }
  taken_.insert(name);
  return name;
}

}  // namespace fanfare::triggers
