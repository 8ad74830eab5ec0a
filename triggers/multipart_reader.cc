#include "triggers/multipart_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "triggers/field_parameters.h"
#include "triggers/http.h"

namespace fanfare::triggers {
namespace {

constexpr std::size_t kBoundaryBytesMax = 70;
constexpr std::size_t kPaddingBytesMax = 64;  // white space behind a delimiter

bool is_boundary_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view{"'()+_,-./:=? "}.find(c) != std::string_view::npos;
}

}  // namespace

Result<std::string> multipart_boundary(std::string_view content_type) {
  if (media_type(content_type) != "multipart/form-data") {
    return reject("this is not multipart/form-data");
  }
  const auto parameters = field_parameters(content_type);
  if (!parameters) return reject("the Content-Type cannot be read");
  for (const auto& [name, value] : *parameters) {
    if (name != "boundary") continue;
    const bool good = !value.empty() && value.size() <= kBoundaryBytesMax && value.back() != ' ' &&
                      std::ranges::all_of(value, is_boundary_character);
    if (!good) return reject("a boundary is 1 to 70 letters, digits or '()+_,-./:=?");
    return value;
  }
  return reject("the Content-Type has no boundary; let the client library set that field");
}

MultipartReader::MultipartReader(std::string_view boundary, MultipartLimits limits, Parts& parts)
    : delimiter_("\r\n--" + std::string{boundary}), limits_(limits), parts_(parts) {}

Result<void> MultipartReader::read(std::string_view bytes) {
  if (error_) return *error_;
  while (!bytes.empty() && state_ != State::kEpilogue) {
    if (const auto stepped = step(bytes); !stepped) {
      error_ = stepped.error();
      return *error_;
    }
  }
  return {};
}

Result<void> MultipartReader::step(std::string_view& bytes) {
  switch (state_) {
    case State::kPreamble:
    case State::kContent:
      return seek_delimiter(bytes);
    case State::kDelimited:
      return end_delimiter(bytes);
    case State::kHead:
      return read_head(bytes);
    case State::kEpilogue:
      break;
  }
  return {};
}

// A boundary has no CR, so a delimiter can only begin where one is: what has matched so far and
// then does not is content, and need not have been kept, because it is the delimiter's beginning.
Result<void> MultipartReader::seek_delimiter(std::string_view& bytes) {
  if (matched_ == 0) {
    const void* const found = std::memchr(bytes.data(), '\r', bytes.size());
    const std::size_t before =
        found ? static_cast<std::size_t>(static_cast<const char*>(found) - bytes.data())
              : bytes.size();
    if (before > 0) {
      const std::string_view content = bytes.substr(0, before);
      bytes.remove_prefix(before);
      return pass_on(content);
    }
  }
  const std::string_view wanted = std::string_view{delimiter_}.substr(matched_, bytes.size());
  const auto differs = std::ranges::mismatch(wanted, bytes).in1;
  const auto same = static_cast<std::size_t>(differs - wanted.begin());
  matched_ += same;
  bytes.remove_prefix(same);
  if (matched_ == delimiter_.size()) {
    const bool in_part = state_ == State::kContent;
    state_ = State::kDelimited;
    matched_ = not_content_ = 0;
    head_.clear();
    return in_part ? parts_.on_part_end() : Result<void>{};
  }
  if (bytes.empty()) return {};
  const std::size_t from = std::exchange(not_content_, 0), to = std::exchange(matched_, 0);
  return pass_on(std::string_view{delimiter_}.substr(from, to - from));
}

Result<void> MultipartReader::pass_on(std::string_view piece) {
  if (state_ == State::kPreamble || piece.empty()) return {};
  return parts_.on_content(piece);
}

// "--" ends the message; else white space and the line's end.
Result<void> MultipartReader::end_delimiter(std::string_view& bytes) {
  head_ += bytes.front();
  bytes.remove_prefix(1);
  if (head_ == "--") {
    state_ = State::kEpilogue;
    return {};
  }
  if (head_ == "-") return {};
  if (!head_.ends_with("\r\n")) {
    const char last = head_.back();
    const bool blank = last == ' ' || last == '\t' || last == '\r';
    const bool after_return = head_.size() > 1 && head_[head_.size() - 2] == '\r';
    if (!blank || after_return || head_.front() == '-' || head_.size() > kPaddingBytesMax) {
      return reject("a line of the form begins with its boundary and goes on");
    }
    return {};
  }
  if (++parts_seen_ > limits_.parts_max) {
    return reject(fmt::format("a form may have {} parts", limits_.parts_max));
  }
  head_.clear();
  state_ = State::kHead;
  return {};
}

Result<void> MultipartReader::read_head(std::string_view& bytes) {
  const std::size_t end = bytes.find('\n');
  const std::size_t size = end == bytes.npos ? bytes.size() : end + 1;
  if (head_.size() + size > limits_.head_bytes_max) {
    return reject(fmt::format("the head of a part may have {} bytes", limits_.head_bytes_max));
  }
  head_ += bytes.substr(0, size);
  bytes.remove_prefix(size);
  if (end == bytes.npos) return {};
  if (!head_.ends_with("\r\n")) return reject("lines of a part's head end with CR and LF");
  if (head_ != "\r\n" && !head_.ends_with("\r\n\r\n")) return {};
  head_.resize(head_.size() - 2);
  state_ = State::kContent;
  matched_ = not_content_ = kLineEnd;
  return parts_.on_part(std::exchange(head_, {}));
}

}  // namespace fanfare::triggers
