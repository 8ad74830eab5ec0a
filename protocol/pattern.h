// Patterns: which events a function subscribes to. An object of fields → array of alternatives over
// a JSON document, in the grammar of Amazon EventBridge. In subscriptions the document is the JSON
// view of an event ({"type":…,"source":…,"subject":…,"id":…,"time":…,"data":{…}}, see
// to_pattern_json).
//
// Fields AND, array entries OR, and so do the objects of "$or": [{…}, {…}]. Alternatives:
//   "text" 5 true false null                a literal; numbers compare as IEEE doubles
//   {"prefix": "text"} {"suffix": "text"}   how a text begins, ends
//   {"equals-ignore-case": "text"}          also within prefix and suffix; see fold_case.h
//   {"wildcard": "a*b"}                     * is any text; \* and \\ are a star and a backslash
//   {"exists": true} {"exists": false}      a value is there, or none is; objects are no values
//   {"anything-but": 5} {"anything-but": ["a", "b"]}
//                                           a value that is none of these literals
//   {"anything-but": {"prefix": "a"}}       or none of what one of prefix, suffix,
//                                           equals-ignore-case and wildcard says of a text, or of
//                                           each text of a list
//   {"numeric": [">", 0, "<=", 5]}          a number in a range; = < <= > >=, one or two of them
//   {"cidr": "10.0.0.0/24"}                 an IP address, of version 4 or 6, in a range
// Where the document has an array, one of its elements is to match; fields within one array of
// objects match in the same element of it, never in different ones. Dotted keys equal nested keys;
// but within "attributes" (see notification_attributes.h) they are one name.
// Of keys that a pattern has twice the last one counts, of a document's the first one. Anything
// else is refused with the path of the offending field.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "protocol/cidr.h"

namespace fanfare::protocol {

struct Alternative {
  enum class Kind {
    kString,
    kPrefix,
    kSuffix,
    kWildcard,
    kNumber,
    kBool,
    kNull,
    kExists,
    kAnythingBut,
    kNumeric,
    kCidr
  };
  Kind kind = Kind::kString;
  std::string text;                 // kString, kPrefix, kSuffix
  bool any_case = false;            // of these: `text` is folded, and so is what it is held against
  std::vector<std::string> pieces;  // kWildcard: what stands before, between and behind the stars
  double number = 0;                // kNumber; kNumeric: the lower end
  double number_max = 0;            // kNumeric: the upper end
  bool flag = false;                // kBool, kExists
  bool min_inside = true;           // kNumeric: does the lower end belong to the range?
  bool max_inside = true;           // kNumeric: and the upper end?
  std::vector<Alternative> excluded;  // kAnythingBut: at least one
  Cidr cidr;                          // kCidr
};

struct FieldTest {
  std::vector<std::string> path;
  std::vector<Alternative> alternatives;  // at least one
};

// All of its tests must hold.
struct Branch {
  // Of an event: their paths are {"type"} and the like, or begin with "attributes".
  std::vector<FieldTest> attributes;
  // Of its data, or of a document of another shape; ascending by path. The path of data itself is
  // empty.
  std::vector<FieldTest> fields;
};

// One of its branches must hold.
struct Pattern {
  std::vector<Branch> branches;  // at least one
  bool over_events = false;      // its documents are JSON views of events: `fields` lie in "data"
};

// A pattern over events. Also refuses what could never match one: attributes are text.
Result<Pattern> compile_pattern(std::string_view json);

// A pattern over documents of other shapes, in which any field may hold anything.
Result<Pattern> compile_document_pattern(std::string_view json);

// Does the document, or the JSON view of an event, match? What is not a JSON object matches
// nothing. Parses `json` once.
bool matches(const Pattern& pattern, std::string_view json);

// Whether a value that is this text is one of what the alternative means.
bool matches(const Alternative& alternative, std::string_view text);

// Does the test hold where the field is a text, or, without one, where there is no such field?
bool text_matches(const FieldTest& test, std::string_view text);
bool absence_matches(const FieldTest& test);

}  // namespace fanfare::protocol
