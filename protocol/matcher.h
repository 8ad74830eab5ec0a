// Which of many patterns an event matches: one matcher for all of them.
//
// What an event costs grows with the event and with the patterns that it matches, not with the
// number of patterns. The alternatives of all patterns lie in tables, by field and operator, in
// which the values of an event are looked up; what is found there is a short list of branches, and
// each of these is held against the event as matches() of pattern.h would. Of the event's JSON only
// fields that some pattern names are looked at, and it is parsed, once, only when the attributes
// leave a branch that tests one.
//
// What one value of an event costs at its field, whatever the number n of patterns that test it:
//   a literal, equals-ignore-case   one lookup
//   prefix, suffix                  one way along the text, a lookup for each distinct length
//   numeric                         log n, and the ranges that hold the number
//   cidr                            a lookup for each distinct number of bits
//   wildcard                        as a prefix or suffix if it begins or ends with a text; else a
//                                   glance for each byte of the value, for four of its own bytes
//   exists, anything-but            nothing: a branch is found by whatever else it tests
// A branch that tests nothing else than these last is held against each event that has the field,
// and one of {"exists": false} alone against each: most of these match. How long a list of
// anything-but is counts whenever its branch is found. Branches that are the same for several
// functions are held against an event once.
//
// Answers exactly as matches() over to_pattern_json(event). Not thread-safe. Throws nothing but
// what allocation does.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "protocol/event.h"
#include "protocol/pattern.h"

namespace fanfare::protocol {

// Off only where a test is itself tested: its errors are to be found.
struct MatcherProtections {
  bool same_element = true;      // fields of an array match in the same element
  bool look_through_all = true;  // each value of an array is looked up, not the first alone
  bool all_tests = true;         // whoever is found is held against all of its tests
};

struct Matched {
  std::span<const std::uint32_t> subscribers;  // ascending, each once; until the next call
  bool by_type_alone = false;                  // every event of this type has this answer
  std::uint32_t branches_held = 0;  // how many were held against the event: for tests and figures
};

class Matcher {
 public:
  explicit Matcher(MatcherProtections protections = {});
  ~Matcher();
  Matcher(Matcher&&) noexcept;
  Matcher& operator=(Matcher&&) noexcept;

  // The subscriber matches what one of its patterns does. The pattern is one over events. Costs
  // the tables: the next match() puts them together anew, in milliseconds for thousands.
  void add(const Pattern& pattern, std::uint32_t subscriber);

  Matched match(const EventView& event);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace fanfare::protocol
