// Why a document matches a pattern or not, field by field: for people who write patterns.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "protocol/pattern.h"

namespace fanfare::protocol {

struct FieldExplained {
  std::string path;    // dotted, from the root of the document
  std::string wanted;  // in words: `"a" or prefix "b"`
  bool holds = false;
  std::vector<std::string> found;  // the values that are there, as JSON; the first kFoundMax
  std::size_t found_more = 0;
  bool is_object = false;  // nothing is found but an object, whose fields are to be named instead
};
inline constexpr std::size_t kFoundMax = 8;

struct BranchExplained {
  bool matches = false;
  std::vector<FieldExplained> fields;  // attributes first
  // Each of these fields holds, and yet not in the same element of the array: its path is `array`.
  std::vector<std::string> apart;
  std::string array;
};

struct Explained {
  bool matches = false;
  std::vector<BranchExplained> branches;  // without "$or" one
};

// The document is one as matches() takes it. kReject: it is no JSON object.
Result<Explained> explain(const Pattern& pattern, std::string_view json);

// An alternative in words: "prefix \"a\" in any case".
std::string in_words(const Alternative& alternative);

}  // namespace fanfare::protocol
