// multipart/form-data (RFC 7578, RFC 2046), as it arrives: bytes go in, in pieces of any size, and
// the parts come out, each with its head, the pieces of its content and its end.
//
// However the bytes are cut the same comes out, but for where the content is cut. Keeps nothing but
// a part's head, which is bounded; so the size of files is its owner's business. No I/O.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace fanfare::triggers {

// The boundary that a Content-Type names. kReject: it is not multipart/form-data, or has no
// boundary, or one that RFC 2046 does not allow (1 to 70 characters of a short list).
Result<std::string> multipart_boundary(std::string_view content_type);

struct MultipartLimits {
  std::size_t parts_max = 1000;
  std::size_t head_bytes_max = 8u << 10;  // of one part
};

class MultipartReader {
 public:
  // An error ends it: read() returns it, now and from then on.
  class Parts {
   public:
    virtual ~Parts() = default;
    // The lines of its head, each with its CRLF.
    virtual Result<void> on_part(std::string_view head) = 0;
    virtual Result<void> on_content(std::string_view piece) = 0;
    virtual Result<void> on_part_end() = 0;
  };

  MultipartReader(std::string_view boundary, MultipartLimits limits, Parts& parts);

  // kReject: this is no multipart message, or one beyond the limits; or the error of `parts`.
  Result<void> read(std::string_view bytes);
  // Whether the message has come to its end; what follows that is read over (RFC 2046, 5.1.1).
  bool is_complete() const { return state_ == State::kEpilogue; }

 private:
  static constexpr std::size_t kLineEnd = 2;
  enum class State { kPreamble, kDelimited, kHead, kContent, kEpilogue };

  Result<void> step(std::string_view& bytes);
  Result<void> seek_delimiter(std::string_view& bytes);
  Result<void> end_delimiter(std::string_view& bytes);
  Result<void> read_head(std::string_view& bytes);
  Result<void> pass_on(std::string_view piece);

  const std::string delimiter_;  // CRLF "--" boundary
  const MultipartLimits limits_;
  Parts& parts_;
  State state_ = State::kPreamble;
  // How much of the delimiter the bytes so far end with. At first, and behind a part's head, it is
  // as if a line had just ended: that line end is no content.
  std::size_t matched_ = kLineEnd, not_content_ = kLineEnd;
  std::string head_;  // what follows a delimiter on its line, then a part's head
  std::size_t parts_seen_ = 0;
  std::optional<Error> error_;
};

}  // namespace fanfare::triggers
