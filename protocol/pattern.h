// One compiled pattern: an object of fields → array of alternatives over a JSON document. In
// subscriptions the document is the JSON view of an event
// ({"type":…,"source":…,"subject":…,"id":…,"time":…,"data":{…}}, see to_pattern_json).
//
// Fields AND, array entries OR. Alternatives:
//   "text" 5 true false null                a literal; numbers compare as IEEE doubles
//   {"prefix": "text"}                      how a text begins
//   {"exists": true} {"exists": false}      a value is there, or none is; objects are no values
//   {"anything-but": 5} {"anything-but": ["a", "b"]}
//                                           a value that is none of these literals
//   {"numeric": [">", 0, "<=", 5]}          a number in a range; = < <= > >=, one or two of them
// Where the document has an array, an alternative holds if it does for one of the elements. Dotted
// keys equal nested keys. Anything else is refused with the path of the offending field.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace fanfare::protocol {

struct Alternative {
  enum class Kind { kString, kPrefix, kNumber, kBool, kNull, kExists, kAnythingBut, kNumeric };
  Kind kind = Kind::kString;
  std::string text;                   // kString, kPrefix
  double number = 0;                  // kNumber; kNumeric: the lower end
  double number_max = 0;              // kNumeric: the upper end
  bool flag = false;                  // kBool, kExists
  bool min_inside = true;             // kNumeric: does the lower end belong to the range?
  bool max_inside = true;             // kNumeric: and the upper end?
  std::vector<Alternative> excluded;  // kAnythingBut: literals, at least one
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

// A pattern over events. Also refuses what could never match one: attributes are text.
Result<Pattern> compile_pattern(std::string_view json);

// A pattern over documents of other shapes, in which any field may hold anything.
Result<Pattern> compile_document_pattern(std::string_view json);

// Does the document match? What is not a JSON object matches nothing. Parses `json` once.
bool matches(const Pattern& pattern, std::string_view json);

bool matches(const Alternative& alternative, std::string_view text);

// Does the test hold where the field is a text, or, without one, where there is no such field?
bool text_matches(const FieldTest& test, std::string_view text);
bool absence_matches(const FieldTest& test);

}  // namespace fanfare::protocol
