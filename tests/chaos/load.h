// Load: what a publisher of the rig is told to send, and what it has written down.
//
// chaos_publisher is a process of its own, so that it can be killed like the others. It publishes
// open loop (at its rate, whatever the answers do) and writes each step to its log:
//   i NUMBER NS TAG KEY POSITION DEDUPLICATION NOT_BEFORE   handed to the client ("-" for none)
//   a NUMBER NS ID FUNCTIONS DUPLICATE       acknowledged
//   r NUMBER NS REASON                       refused: not taken
//   u NUMBER NS                              no answer in time
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "tests/chaos/execution_log.h"
#include "tests/chaos/history.h"

namespace fanfare::chaos {

struct Load {
  double rate = 1000;  // events per second
  double seconds = 2;
  std::uint64_t first_tag = 1;  // tags of several publishers must not meet
  std::uint64_t seed = 1;
  // What the probe is told to do ("sleep 2"), and its share among the others.
  std::vector<std::pair<std::string, double>> mix{{"ok", 1}};
  std::uint64_t delay_ms = 0;            // of each event
  std::uint32_t ordering_keys = 0;       // events are spread over so many; 0 = none
  std::uint32_t deduplication_keys = 0;  // likewise
  double timeout_seconds = 20;           // until an unanswered event's outcome is unknown
  std::uint32_t data_bytes = 0;          // filled up to
  std::uint32_t clients = 1;             // connections that send them, in turn
};

// As words of a command line, and back.
std::vector<std::string> to_words(const Load& load);
Result<Load> load_from_words(const std::vector<std::string>& words);

// Appends what a publisher has written down. A last line without its end does not count.
void read_submissions(const std::string& file, std::vector<Submission>& submissions);

// The same of the probe's log (execution_log.h).
void read_executions(const std::string& file, std::vector<Execution>& executions);

// And what workers wrote of tokens: each execution has the one that its worker had named last
// before it began.
void read_tokens(const std::string& file, std::vector<Execution>& executions);

// And of its processes.
std::vector<BirthRecord> read_births(const std::string& file);

}  // namespace fanfare::chaos
