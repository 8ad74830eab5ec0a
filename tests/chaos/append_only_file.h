// Redis' own record of everything that changed, in the order in which it changed.
//
// Redis 7 writes `appendonlydir/<name>.<n>.incr.aof`; everything is there as long as the file was
// never rewritten, which the rig sees to. What a function of the library wrote lies between MULTI
// and EXEC and counts as one step: what was written and taken back within a step never was.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "tests/chaos/history.h"

namespace fanfare::chaos {

// Splits the bytes of a file into commands, and calls back with the words of each; stops at a tail
// that is cut off. Returns false if something is no command at all.
bool read_commands(std::string_view bytes,
                   const std::function<void(const std::vector<std::string_view>&)>& on_command);

// Turns commands into the history's changes and counts.
class Replay {
 public:
  explicit Replay(History& history) : history_(history) {}
  void on_command(const std::vector<std::string_view>& words);

 private:
  void apply(const std::vector<std::string_view>& words);
  void note_beside(std::string_view verb, const std::vector<std::string_view>& words);
  void on_journal(std::string_view function, const std::vector<std::string_view>& words);
  void on_letter(std::string_view function, const std::vector<std::string_view>& words);
  void on_event(std::string_view function, const protocol::EventId& id, std::string_view packed);
  void on_result(std::string_view function, const protocol::EventId& id, std::string_view result);
  void on_results(std::string_view function, std::string_view entry,
                  const std::vector<std::string_view>& words);
  void on_letters_gone(std::string_view function, const std::vector<std::string_view>& words);
  void on_rows(std::string_view function, const std::vector<std::string_view>& words);
  void on_rows_gone(std::string_view function, const std::vector<std::string_view>& words);
  void take_back(const Change& what);
  void end_step();

  History& history_;
  std::unordered_map<std::string, std::string> beside_;  // by key: what lies beside
  bool in_transaction_ = false;
  std::uint64_t step_ = 1;
  std::vector<Change> now_;         // of this step
  std::vector<CountsSeen> counts_;  // by function, few; the running state
  std::vector<std::string> counted_now_;
  std::unordered_map<std::string, protocol::EventId> letters_;  // of each function's letters
  std::vector<std::string> accepted_now_;  // functions that this step brings deliveries
};

// Everything under a Redis data directory. Throws if there is nothing to read.
void read_append_only_file(const std::filesystem::path& data_dir, History& history);

// What an event's data says of its tag, and a result's output of its tag and execution; 0 if
// nothing. See probe.cc.
Tag tag_of_event(std::string_view packed_event);
struct Output {
  Tag tag = 0;
  std::uint64_t nonce = 0;
};
Output read_output(std::string_view output);
// Of bytes, for comparing.
std::uint64_t fingerprint(std::string_view bytes);

}  // namespace fanfare::chaos
