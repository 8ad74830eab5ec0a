#include "tests/chaos/append_only_file.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>
#include <stdexcept>

#include "protocol/event.h"
#include "protocol/record.h"
#include "store/bytes.h"
#include "store/packed.h"
#include "store/row.h"

namespace fanfare::chaos {
namespace {

using Words = std::vector<std::string_view>;

template <typename T>
std::optional<T> number(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// "*12\r\n" at `at`: the number, and `at` moved behind it. Nothing if it is not complete or no such
// thing.
std::optional<std::size_t> header(std::string_view bytes, std::size_t& at, char kind) {
  if (at >= bytes.size() || bytes[at] != kind) return std::nullopt;
  const std::size_t end = bytes.find("\r\n", at);
  if (end == std::string_view::npos) return std::nullopt;
  const auto value = number<std::size_t>(bytes.substr(at + 1, end - at - 1));
  if (value) at = end + 2;
  return value;
}

std::string upper(std::string_view word) {
  std::string text(word);
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return text;
}

// A key of a function: "fanfare:{function}:rest".
struct FunctionKey {
  std::string_view function, rest;
};
std::optional<FunctionKey> function_key(std::string_view key) {
  constexpr std::string_view kHead = "fanfare:{";
  if (!key.starts_with(kHead)) return std::nullopt;
  const std::size_t end = key.find("}:", kHead.size());
  if (end == std::string_view::npos) return std::nullopt;
  return FunctionKey{key.substr(kHead.size(), end - kHead.size()), key.substr(end + 2)};
}

std::int64_t* count_named(Counts& counts, std::string_view name) {
  if (name == "accepted") return &counts.accepted;
  if (name == "open") return &counts.open;
  if (name == "later") return &counts.later;
  if (name == "succeeded") return &counts.succeeded;
  if (name == "dead") return &counts.dead;
  if (name == "expired") return &counts.expired;
  if (name == "cancelled") return &counts.cancelled;
  return nullptr;
}

}  // namespace

bool read_commands(std::string_view bytes, const std::function<void(const Words&)>& on_command) {
  std::size_t at = 0;
  Words words;
  while (at < bytes.size()) {
    if (bytes[at] == '#') {  // a note of the time
      at = bytes.find('\n', at);
      if (at == std::string_view::npos) return true;
      ++at;
      continue;
    }
    if (bytes[at] != '*') return false;
    std::size_t next = at;
    const auto count = header(bytes, next, '*');
    if (!count) return true;
    words.clear();
    for (std::size_t i = 0; i < *count; ++i) {
      const auto size = header(bytes, next, '$');
      if (!size || next + *size + 2 > bytes.size()) return true;
      words.push_back(bytes.substr(next, *size));
      next += *size + 2;
    }
    at = next;
    on_command(words);
  }
  return true;
}

Tag tag_of_event(std::string_view packed_event) {
  const auto event = protocol::view_event(packed_event);
  if (!event) return 0;
  return number<Tag>(event->data.substr(0, event->data.find(' '))).value_or(0);
}

Output read_output(std::string_view output) {
  const std::size_t space = output.find(' ');
  if (space == std::string_view::npos) return {};
  const auto tag = number<Tag>(output.substr(0, space));
  const auto nonce = number<std::uint64_t>(output.substr(space + 1));
  if (!tag || !nonce) return {};
  return {*tag, *nonce};
}

std::uint64_t fingerprint(std::string_view bytes) {
  std::uint64_t hash = 0xcbf29ce484222325ull;  // FNV-1a
  for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ull;
  return hash;
}

void Replay::on_command(const Words& words) {
  if (words.empty()) return;
  const std::string verb = upper(words.front());
  if (verb == "MULTI") {
    in_transaction_ = true;
  } else if (verb == "EXEC") {
    in_transaction_ = false;
    end_step();
  } else {
    apply(words);
    if (!in_transaction_) end_step();
  }
}

void Replay::apply(const Words& words) {
  const std::string verb = upper(words.front());
  if (words.size() < (verb == "UNLINK" ? 2 : 3)) return;
  const auto key = function_key(words[1]);
  if (!key) return;
  constexpr std::string_view kResults = "results:";
  const bool results = key->rest.starts_with(kResults);
  if (results || key->rest.starts_with("journal:")) note_beside(verb, words);
  if (key->rest.starts_with("journal:")) {
    if (verb == "XADD") on_journal(key->function, words);
  } else if (verb == "XADD" && key->rest == "dead") {
    on_letter(key->function, words);
  } else if (verb == "XDEL" && key->rest == "dead") {
    on_letters_gone(key->function, words);
  } else if (verb == "HSET" && results) {
    on_results(key->function, key->rest.substr(kResults.size()), words);
  } else if (verb == "HDEL" && results) {
    const auto entry = protocol::parse_entry_id(key->rest.substr(kResults.size()));
    for (std::size_t i = 2; entry && i < words.size(); ++i) {
      const auto indexes = store::parse_result_field(words[i]);
      if (!indexes) continue;
      for (unsigned index = indexes->first; index <= indexes->second; ++index) {
        Change gone;
        gone.kind = Change::Kind::kStored;
        gone.function = key->function;
        gone.id = {*entry, static_cast<std::uint8_t>(index)};
        take_back(gone);
      }
    }
  } else if (verb == "HSET" && key->rest == "later:rows") {
    on_rows(key->function, words);
  } else if (verb == "HDEL" && key->rest == "later:rows") {
    on_rows_gone(key->function, words);
  } else if (verb == "HINCRBY" && key->rest == "counts" && words.size() == 4) {
    const auto by = number<std::int64_t>(words[3]);
    auto found = std::find_if(counts_.begin(), counts_.end(), [&](const CountsSeen& seen) {
      return seen.function == key->function;
    });
    if (found == counts_.end()) {
      found =
          counts_.insert(found, {.function = std::string(key->function), .step = 0, .counts = {}});
    }
    std::int64_t* const count = count_named(found->counts, words[2]);
    if (by && count) *count += *by;
    if (by && *by > 0 && words[2] == "accepted") accepted_now_.emplace_back(key->function);
    counted_now_.emplace_back(key->function);
  }
}

// What is staged, moved to where it stays, and gone.
void Replay::note_beside(std::string_view verb, const Words& words) {
  const std::string key(words[1]);
  if (verb == "SET") beside_[key] = words[2];
  if (verb == "UNLINK") beside_.erase(key);
  if (verb != "RENAME") return;
  if (auto staged = beside_.extract(key)) {
    beside_[std::string(words[2])] = std::move(staged.mapped());
  }
}

void Replay::on_journal(std::string_view function, const Words& words) {
  const auto entry = protocol::parse_entry_id(words[2]);
  for (std::size_t i = 3; entry && i + 1 < words.size(); i += 2) {
    std::string_view events = words[i + 1];
    if (events.empty()) events = beside_[std::string(words[1]).append(":").append(words[2])];
    (void)store::for_each_event(words[i], events, [&](std::uint8_t index, std::string_view packed) {
      on_event(function, {*entry, index}, packed);
    });
  }
}

void Replay::on_event(std::string_view function, const protocol::EventId& id,
                      std::string_view packed) {
  Change& change = now_.emplace_back();
  change.kind = Change::Kind::kAppended;
  change.function = function;
  change.id = id;
  change.tag = tag_of_event(packed);
  // An event that tells how a delivery ended names that in its subject.
  const auto event = protocol::view_event(packed);
  if (!event || !event->source.starts_with("/functions/")) return;
  if (const auto about = protocol::parse_event_id(event->subject)) change.about = *about;
  change.failure = event->type == "function.failed";
}

// Taken back within its step, it never was; else its delivery goes on, or nobody wants it.
void Replay::on_letters_gone(std::string_view function, const Words& words) {
  for (std::size_t i = 2; i < words.size(); ++i) {
    const std::uint64_t entry = fingerprint(words[i]);
    const auto taken_back = std::erase_if(now_, [&](const Change& change) {
      return change.kind == Change::Kind::kLetter && change.fingerprint == entry;
    });
    const auto letter = letters_.find(std::string(function) + ' ' + std::string(words[i]));
    if (taken_back > 0 || letter == letters_.end()) continue;
    const auto moved = std::find_if(now_.begin(), now_.end(), [&](const Change& change) {
      return change.kind == Change::Kind::kPostponed && change.function == function &&
             change.id == letter->second;
    });
    if (moved != now_.end()) {
      moved->kind = Change::Kind::kRedriven;
    } else {
      Change& gone = now_.emplace_back();
      gone.kind = Change::Kind::kPurged;
      gone.function = function;
      gone.id = letter->second;
    }
    letters_.erase(letter);
  }
}

void Replay::on_letter(std::string_view function, const Words& words) {
  Change change;
  change.kind = Change::Kind::kLetter;
  change.function = function;
  for (std::size_t i = 2; i + 1 < words.size(); ++i) {
    if (words[i] == "id") {
      if (const auto id = protocol::parse_event_id(words[i + 1])) change.id = *id;
    } else if (words[i] == "event") {
      change.tag = tag_of_event(words[i + 1]);
    }
  }
  change.fingerprint = fingerprint(words[2]);  // the letter's own entry, should it be taken back
  letters_[std::string(function) + ' ' + std::string(words[2])] = change.id;
  now_.push_back(std::move(change));
}

void Replay::on_results(std::string_view function, std::string_view entry_text,
                        const Words& words) {
  const auto entry = protocol::parse_entry_id(entry_text);
  for (std::size_t i = 2; entry && i + 1 < words.size(); i += 2) {
    std::string results{words[i + 1]};
    if (results.empty() && words[i] != store::kSpansField) {
      auto beside = beside_.extract(std::string(words[1]).append(":").append(words[i]));
      if (!beside) throw std::runtime_error("results lie beside that nobody has put there");
      results = std::move(beside.mapped());
    }
    (void)store::for_each_result(words[i], results,
                                 [&](std::uint8_t index, std::string_view result) {
                                   on_result(function, {*entry, index}, result);
                                 });
  }
}

void Replay::on_result(std::string_view function, const protocol::EventId& id,
                       std::string_view result) {
  const auto stored = store::view_stored_result(result);
  if (!stored) return;
  Change& change = now_.emplace_back();
  change.kind = Change::Kind::kStored;
  change.function = function;
  change.id = id;
  change.token = store::by_attempt(stored->token);
  change.fingerprint = fingerprint(result);
  if (const auto record = protocol::unpack_result(stored->record)) {
    change.status = record->status;
    if (record->status == protocol::Status::kSucceeded) {
      const Output output = read_output(record->output);
      change.tag = output.tag;
      change.nonce = output.nonce;
    }
  }
}

void Replay::on_rows(std::string_view function, const Words& words) {
  for (std::size_t i = 2; i + 1 < words.size(); i += 2) {
    const auto id = protocol::parse_event_id(words[i]);
    const auto row = store::view_later_row(words[i + 1]);
    if (!id || !row) continue;
    if (std::ranges::find(accepted_now_, function) != accepted_now_.end()) {  // a delayed event
      Change& appended = now_.emplace_back();
      appended.kind = Change::Kind::kAppended;
      appended.function = function;
      appended.id = *id;
      appended.tag = tag_of_event(row->event);
    }
    Change& change = now_.emplace_back();
    change.kind = Change::Kind::kPostponed;
    change.function = function;
    change.id = *id;
    change.token = store::by_attempt(row->token);
  }
}

// Rows of earlier steps end in other ways, which say more.
void Replay::on_rows_gone(std::string_view function, const Words& words) {
  for (std::size_t i = 2; i < words.size(); ++i) {
    const auto id = protocol::parse_event_id(words[i]);
    if (!id) continue;
    Change gone;
    gone.kind = Change::Kind::kPostponed;
    gone.function = function;
    gone.id = *id;
    take_back(gone);
    gone.kind = Change::Kind::kAppended;
    take_back(gone);
  }
}

// The latest of its kind in this step never was.
void Replay::take_back(const Change& what) {
  const auto found = std::find_if(now_.rbegin(), now_.rend(), [&](const Change& change) {
    return change.kind == what.kind && change.function == what.function && change.id == what.id;
  });
  if (found != now_.rend()) now_.erase(std::next(found).base());
}

void Replay::end_step() {
  if (now_.empty() && counted_now_.empty()) return;
  for (Change& change : now_) {
    change.step = step_;
    history_.changes.push_back(std::move(change));
  }
  now_.clear();
  std::sort(counted_now_.begin(), counted_now_.end());
  counted_now_.erase(std::unique(counted_now_.begin(), counted_now_.end()), counted_now_.end());
  for (CountsSeen& seen : counts_) {
    if (!std::binary_search(counted_now_.begin(), counted_now_.end(), seen.function)) continue;
    seen.step = step_;
    history_.counts.push_back(seen);
  }
  counted_now_.clear();
  accepted_now_.clear();
  ++step_;
}

void read_append_only_file(const std::filesystem::path& data_dir, History& history) {
  std::map<std::size_t, std::filesystem::path> parts;  // by number: they continue each other
  for (const auto& file : std::filesystem::directory_iterator(data_dir / "appendonlydir")) {
    const std::string name = file.path().filename();
    constexpr std::string_view kEnd = ".incr.aof";
    if (!name.ends_with(kEnd)) continue;
    const std::string stem = name.substr(0, name.size() - kEnd.size());
    parts[number<std::size_t>(stem.substr(stem.rfind('.') + 1)).value_or(0)] = file.path();
  }
  if (parts.empty()) throw std::runtime_error("no append-only file in " + data_dir.string());
  Replay replay(history);
  for (const auto& [part, path] : parts) {
    std::ifstream file(path, std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(file), {}};
    const bool fine = read_commands(bytes, [&](const Words& words) { replay.on_command(words); });
    if (!fine) throw std::runtime_error(path.string() + " holds something that is no command");
  }
}

}  // namespace fanfare::chaos
