// What a handler asks for besides its result: on its way from the instance to the worker, behind
// the texts of the result. The worker makes effects of it, which the commit of the result brings
// about.
//
// A list of (kind u8, size u32 of this machine, bytes). It comes from foreign code: whoever reads
// it is told what breaks a rule.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "protocol/row_writes.h"

namespace fanfare::worker {

struct Asked {
  enum class Kind : std::uint8_t {
    kPublish = 1,    // bytes: a packed event, without a generation
    kWriteRows = 2,  // bytes: the attempt's writes on rows (protocol/row_writes.h); once at most
  };

  Kind kind = Kind::kPublish;
  std::string bytes;
};

inline constexpr std::size_t kPublishedMax = 64;  // events of one attempt
inline constexpr std::size_t kPublishedBytesMax = 256 * 1024;
inline constexpr std::size_t kWritesBytesMax =
    protocol::kRowWriteBytesMax +
    protocol::kRowWritesMax * (protocol::kRowWriteHead + protocol::kRowExpiryBytes);
inline constexpr std::size_t kAskedBytesMax =
    kPublishedBytesMax + 5 * kPublishedMax + kWritesBytesMax + 5;

void append_asked(std::string& list, Asked::Kind kind, std::string_view bytes);

// Rejects a list that is cut off, an unknown kind, and more than the limits above.
Result<std::vector<Asked>> read_asked(std::string_view list);

}  // namespace fanfare::worker
