// One compiled subscription pattern: an object of fields → array of alternatives over the JSON view
// of an event ({"type":…,"source":…,"subject":…,"id":…,"time":…,"data":{…}}).
//
// Fields AND, array entries OR. Alternatives: a literal (string, number, true, false, null) and
// {"prefix": text}. Dotted keys equal nested keys. Anything else is refused with the path of the
// offending field, at deployment; so is what could never match an attribute, which is text.
// Numbers compare as IEEE doubles.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"

namespace fanfare::protocol {

struct Alternative {
  enum class Kind { kString, kPrefix, kNumber, kBool, kNull };
  Kind kind = Kind::kString;
  std::string text;   // kString, kPrefix
  double number = 0;  // kNumber
  bool flag = false;  // kBool
};

struct FieldTest {
  std::vector<std::string> path;          // {"type"} or {"data", "kind"}
  std::vector<Alternative> alternatives;  // at least one
};

struct Pattern {
  std::vector<FieldTest> tests;  // all must hold; at least one

  // The alternatives for an attribute of that name, or null if the pattern does not test it.
  const FieldTest* test_of(std::string_view attribute) const;
  bool needs_data() const;
};

Result<Pattern> compile_pattern(std::string_view json);

bool matches(const Alternative& alternative, std::string_view text);

}  // namespace fanfare::protocol
