// Runs, judged; and all of them as the table of docs/reliability.md.
#pragma once

#include <string>
#include <vector>

#include "tests/chaos/checker.h"
#include "tests/chaos/scenario.h"

namespace fanfare::chaos {

struct Judged {
  Outcome outcome;
  Verdict verdict;
  std::string why;  // it failed; empty if it is as it must be
};
// Runs and checks. A run fails if anything is broken, or if there was nothing to see, and so does a
// self-check; a control if nothing of what it must break is broken. Throws CannotHere.
Judged judge(const Scenario& scenario, const Run& run);

// Runs all, each with its control and what checks that, and makes Markdown of it, one row per
// scenario, also for those that are proved elsewhere (unless there is one scenario only) and that
// cannot be run here.
struct Table {
  std::string markdown;
  bool as_it_must_be = true;
};
Table make_table(const std::vector<Scenario>& scenarios, const Run& run);

// Puts the table between the two lines of a document that say where it belongs. False if the
// document has no such place.
bool put_into(const std::string& document, const std::string& markdown);

}  // namespace fanfare::chaos
