// How many events of 900 bytes one core matches against 100, 1,000 and 10,000 patterns at once: the
// corpus of tests/perf/patterns. The sets take turns, so that whatever else the machine does meets
// all of them; each line has the median and range of its rounds, in processor time of the one
// thread.
//
//   pattern_bench [FOLDER OF THE SOURCES [PATTERNS...]]
#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <ctime>

#include "tests/perf/pattern_corpus.h"

using namespace fanfare;

namespace {

constexpr std::size_t kRounds = 15;
constexpr std::size_t kEventsInRound = 100'000;

// Of this thread's processor time: what others do meanwhile does not count.
double processor_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

struct Set {
  std::size_t patterns = 0;
  protocol::Matcher matcher;
  double build_ms = 0;               // by the first match
  double subscribers = 0, held = 0;  // of one event
  std::vector<double> rates;

  double median() const { return rates[rates.size() / 2]; }
};

}  // namespace

int main(int argc, char** argv) {
  const std::string folder = argc > 1 ? argv[1] : FANFARE_SOURCE_DIR;
  const auto packed = perf::corpus_events(folder);
  std::vector<protocol::EventView> events;
  std::size_t bytes = 0;
  for (const std::string& event : packed) {
    events.push_back(*protocol::view_event(event));
    bytes += events.back().data.size();
  }
  std::printf("%zu events of %zu bytes of data\n", events.size(), bytes / events.size());

  std::vector<Set> sets;
  std::vector<std::size_t> counts{100, 1'000, 10'000};
  if (argc > 2) counts.clear();
  for (int i = 2; i < argc; ++i) counts.push_back(std::strtoul(argv[i], nullptr, 10));
  for (const std::size_t count : counts) {
    Set& set = sets.emplace_back();
    set.patterns = count;
    set.matcher = perf::corpus_matcher(folder, count);
    const double from = processor_seconds();
    static_cast<void>(set.matcher.match(events[0]));
    set.build_ms = (processor_seconds() - from) * 1e3;
    std::size_t held = 0, subscribers = 0;
    for (const auto& event : events) {
      const auto matched = set.matcher.match(event);
      held += matched.branches_held;
      subscribers += matched.subscribers.size();
    }
    set.held = static_cast<double>(held) / static_cast<double>(events.size());
    set.subscribers = static_cast<double>(subscribers) / static_cast<double>(events.size());
  }
  for (std::size_t round = 0; round < kRounds; ++round) {
    for (Set& set : sets) {
      const double from = processor_seconds();
      std::size_t done = 0;
      for (; done < kEventsInRound; done += events.size()) perf::match_all(set.matcher, events);
      set.rates.push_back(static_cast<double>(done) / (processor_seconds() - from));
    }
  }
  for (Set& set : sets) {
    std::ranges::sort(set.rates);
    std::printf(
        "%6zu patterns: %8.0f events/s [%.0f-%.0f], %.2f matched and %.1f held against it of each; "
        "built in %.1f ms\n",
        set.patterns, set.median(), set.rates.front(), set.rates.back(), set.subscribers, set.held,
        set.build_ms);
  }
  std::printf("%zu take %.2f times as long as %zu\n", sets.back().patterns,
              sets.front().median() / sets.back().median(), sets.front().patterns);
}
