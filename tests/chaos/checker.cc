#include "tests/chaos/checker.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <map>
#include <set>
#include <unordered_map>
#include <unordered_set>

namespace fanfare::chaos {
namespace {

using protocol::EventId;
using protocol::to_string;
using Fate = Submission::Fate;

constexpr std::size_t kTextsMax = 5;  // per invariant

// What a process may hold more than before. Instances wait for work, a connection is made anew, and
// a process that was seen right after its start had not opened everything yet.
constexpr std::int64_t kChildrenKept = 8, kThreadsKept = 2, kDescriptorsKept = 16, kOfAChild = 6;
// Memory: what is held anyway grows in steps, and what had room for a queue or a connection keeps
// it for the next one.
constexpr std::int64_t kKibKept = 2048, kBytesOfABacklog = 640, kKibOfAClient = 32;
constexpr std::int64_t kBytesOfAnEvent = 16;  // what allocators lose over 100,000s of them

struct DeliveryKey {
  std::string function;
  EventId id;
  friend bool operator==(const DeliveryKey&, const DeliveryKey&) = default;
};
struct DeliveryKeyHash {
  std::size_t operator()(const DeliveryKey& key) const {
    return std::hash<EventId>{}(key.id) * 31 + std::hash<std::string>{}(key.function);
  }
};
std::string text_of(const DeliveryKey& key) {
  return to_string(key.id) + " of " + key.function;
}

bool acknowledged(const Submission& submission) {
  return submission.fate == Fate::kAccepted || submission.fate == Fate::kDuplicate;
}

int certainty(const Submission& submission) {
  return acknowledged(submission) ? 2 : submission.fate == Fate::kRefused ? 0 : 1;
}

class Checker {
 public:
  explicit Checker(const History& history) : history_(history) {
    for (const Submission& one : history.submissions) {
      const auto [known, is_new] = by_tag_.emplace(one.tag, &one);
      // Of several with one tag the most certain to be there speaks for all.
      if (!is_new && certainty(one) > certainty(*known->second)) known->second = &one;
    }
    for (const Ended& one : history.ended) {
      if (one.has_result || one.letters > 0) not_lost_[one.id].insert(one.function);
    }
    for (const Unfinished& one : history.unfinished) not_lost_[one.id].insert(one.function);
    for (const Execution& one : history.executions) {
      if (one.ended_ns != 0 && !one.failed) ran_.insert(one.id);
    }
    for (const Change& one : history.changes) {
      if (one.kind == Change::Kind::kRedriven) ++redriven_[one.id];
      // What destinations are told nobody has sent: see told().
      if (one.kind != Change::Kind::kAppended || is_destination(one.function)) continue;
      appended_[one.tag].insert(one.id);
    }
    for (const Ended& one : history.ended) {
      if (one.tag != 0) appended_[one.tag].insert(one.id);
    }
  }

  Verdict run() {
    count();
    no_loss();
    one_commit();
    no_phantom();
    unknown_once();
    accounted();
    one_at_a_time();
    one_of_a_token();
    in_order();
    told();
    rows();
    cancelled();
    changes_in_sequence();
    conservation();
    bounds();
    resources();
    return std::move(verdict_);
  }

 private:
  template <typename... Args>
  void violate(Invariant invariant, fmt::format_string<Args...> format, Args&&... args) {
    std::size_t& so_far = verdict_.count[static_cast<std::size_t>(invariant)];
    if (so_far++ < kTextsMax) {
      verdict_.violations.push_back({invariant, fmt::format(format, std::forward<Args>(args)...)});
    }
  }

  void count() {
    for (const Submission& one : history_.submissions) {
      ++verdict_.sent;
      if (acknowledged(one)) ++verdict_.acknowledged;
      if (one.fate == Fate::kRefused) ++verdict_.refused;
      if (one.fate == Fate::kUnknown || one.fate == Fate::kPending) ++verdict_.unknown;
    }
    for (const Ended& one : history_.ended) {
      if (one.has_result && one.status == protocol::Status::kSucceeded) ++verdict_.committed;
      verdict_.letters += one.letters;
    }
    verdict_.executions = history_.executions.size();
    std::unordered_set<EventId> seen;
    for (const Execution& one : history_.executions) {
      if (!seen.insert(one.id).second) ++verdict_.repeated;
    }
    if (!history_.changes.empty()) verdict_.steps = history_.changes.back().step;
  }

  void no_loss() {
    for (const Submission& one : history_.submissions) {
      if (!acknowledged(one)) continue;
      const auto found = not_lost_.find(one.id);
      std::size_t there = found == not_lost_.end() ? 0 : found->second.size();
      if (!history_.results_kept && ran_.contains(one.id)) there = std::max<std::size_t>(there, 1);
      if (there >= one.functions) continue;
      ++verdict_.lost;
      violate(Invariant::kNoLoss, "{} was acknowledged for {} functions and {} know of it",
              to_string(one.id), one.functions, there);
    }
  }

  void one_commit() {
    std::unordered_map<DeliveryKey, const Change*, DeliveryKeyHash> stored;
    std::unordered_set<DeliveryKey, DeliveryKeyHash> purged;  // its letter is
    for (const Change& change : history_.changes) {
      const DeliveryKey key{change.function, change.id};
      if (change.kind == Change::Kind::kPurged) purged.insert(key);
      if (change.kind == Change::Kind::kLetter) purged.erase(key);
      if (change.kind == Change::Kind::kRedriven) stored.erase(key);
      if (change.kind != Change::Kind::kStored) continue;
      const auto [first, is_first] = stored.emplace(key, &change);
      if (is_first) continue;
      violate(Invariant::kOneCommit, "{} has a second result in step {}, after step {}",
              text_of(key), change.step, first->second->step);
    }
    for (const Ended& one : history_.ended) {
      const DeliveryKey key{one.function, one.id};
      const bool buried =
          one.status == protocol::Status::kFailed || one.status == protocol::Status::kExpired;
      const std::size_t letters = buried && !purged.contains(key) ? 1 : 0;
      if (one.has_result && one.letters != letters) {
        violate(Invariant::kOneCommit, "{} is {} and has {} dead letters", text_of(key),
                protocol::to_string(one.status), one.letters);
      }
      const auto first = stored.find(key);
      if (one.has_result && first != stored.end() &&
          first->second->fingerprint != one.fingerprint) {
        violate(Invariant::kOneCommit, "{} reads otherwise than it was stored", text_of(key));
      }
    }
  }

  void no_phantom() {
    for (const auto& [tag, ids] : appended_) {
      const auto found = by_tag_.find(tag);
      if (found == by_tag_.end()) {
        violate(Invariant::kNoPhantom, "{} carries tag {}, which nobody sent",
                to_string(*ids.begin()), tag);
        continue;
      }
    }
    for (const Submission& sent : history_.submissions) {
      const auto there = appended_.find(sent.tag);
      if (!acknowledged(sent) || sent.functions == 0 || there == appended_.end()) continue;
      if (!there->second.contains(sent.id)) {
        violate(Invariant::kNoPhantom, "tag {} was acknowledged as {} and is there as {}", sent.tag,
                to_string(sent.id), to_string(*there->second.begin()));
      }
    }
    std::unordered_set<std::uint64_t> nonces;
    for (const Execution& one : history_.executions) nonces.insert(one.nonce);
    for (const Ended& one : history_.ended) {
      if (one.nonce != 0 && !nonces.contains(one.nonce)) {
        violate(Invariant::kNoPhantom, "{} has a result that no execution gave", to_string(one.id));
      }
    }
  }

  void unknown_once() {
    std::map<std::string, std::set<EventId>> by_key;
    for (const auto& [tag, ids] : appended_) {
      const auto found = by_tag_.find(tag);
      if (found == by_tag_.end()) continue;
      const Submission& sent = *found->second;
      if (!sent.deduplication_key.empty()) {
        by_key[sent.deduplication_key].insert(ids.begin(), ids.end());
      }
      if (sent.fate == Fate::kRefused) {
        violate(Invariant::kUnknownOnce, "tag {} was refused and is there as {}", tag,
                to_string(*ids.begin()));
      } else if (ids.size() > 1) {
        violate(Invariant::kUnknownOnce, "tag {} is there {} times, as {} and {}", tag, ids.size(),
                to_string(*ids.begin()), to_string(*ids.rbegin()));
      }
    }
    for (const auto& [key, ids] : by_key) {
      if (ids.size() > 1) {
        violate(Invariant::kUnknownOnce, "key {} is there {} times", key, ids.size());
      }
    }
  }

  // Whether something was done, between these instants, that may cost this worker's attempt.
  bool has_cause(const Execution& earlier, std::int64_t until_ns) const {
    return std::any_of(history_.faults.begin(), history_.faults.end(), [&](const Fault& fault) {
      const bool his =
          fault.pid == 0 || fault.pid == earlier.worker || fault.pid == earlier.instance;
      return his && fault.to_ns >= earlier.began_ns && fault.from_ns <= until_ns;
    });
  }

  void accounted() {
    std::unordered_map<EventId, std::vector<const Execution*>> by_delivery;
    for (const Execution& one : history_.executions) {
      by_delivery[one.id].push_back(&one);
      const auto sent = by_tag_.find(one.tag);
      if (sent == by_tag_.end() || sent->second->not_before_ns == 0) continue;
      const std::int64_t late_ns = one.began_ns - sent->second->not_before_ns;
      if (late_ns < -history_.early_max_ns) {
        violate(Invariant::kAccounted, "{} ran {:.1f} ms before its time", to_string(one.id),
                static_cast<double>(-late_ns) / 1e6);
      }
      if (history_.late_max_ns > 0 && one.attempt == 1 && late_ns > history_.late_max_ns) {
        violate(Invariant::kAccounted, "{} ran {:.1f} ms after its time", to_string(one.id),
                static_cast<double>(late_ns) / 1e6);
      }
    }
    for (auto& [id, runs] : by_delivery) {
      std::size_t failures = 0;
      std::sort(runs.begin(), runs.end(),
                [](const Execution* a, const Execution* b) { return a->began_ns < b->began_ns; });
      for (std::size_t i = 0; i < runs.size(); ++i) {
        if (runs[i]->failed) ++failures;
        if (i + 1 == runs.size() || runs[i]->failed || !history_.causes_known) continue;
        if (!has_cause(*runs[i], runs[i + 1]->began_ns)) {
          violate(Invariant::kAccounted, "{} ran again {:.1f} ms after it had begun, for no reason",
                  to_string(id),
                  static_cast<double>(runs[i + 1]->began_ns - runs[i]->began_ns) / 1e6);
        }
      }
      // A letter that is redriven has its attempts anew.
      const auto redriven = redriven_.find(id);
      const std::size_t lives = 1 + (redriven == redriven_.end() ? 0 : redriven->second);
      if (history_.attempts_max > 0 && failures > history_.attempts_max * lives) {
        violate(Invariant::kAccounted, "{} failed {} times; {} were allowed", to_string(id),
                failures, history_.attempts_max * lives);
      }
    }
    // Whatever was stored as a success was executed.
    if (history_.executions.empty()) return;
    for (const Ended& one : history_.ended) {
      if (one.has_result && one.status == protocol::Status::kSucceeded &&
          !by_delivery.contains(one.id)) {
        violate(Invariant::kAccounted, "{} succeeded without having run", to_string(one.id));
      }
    }
  }

  void one_at_a_time() {
    std::map<std::string, std::vector<const Execution*>> by_key;
    for (const Execution& one : history_.executions) {
      const auto sent = by_tag_.find(one.tag);
      if (sent != by_tag_.end() && !sent->second->ordering_key.empty()) {
        by_key[sent->second->ordering_key].push_back(&one);
      }
    }
    for (auto& [key, runs] : by_key) {
      std::sort(runs.begin(), runs.end(),
                [](const Execution* a, const Execution* b) { return a->began_ns < b->began_ns; });
      for (std::size_t i = 0; i + 1 < runs.size(); ++i) {
        // One without an end was killed: when, nobody has written down.
        const Execution& earlier = *runs[i];
        if (earlier.ended_ns == 0 || earlier.ended_ns <= runs[i + 1]->began_ns) continue;
        violate(Invariant::kOrder, "key {}: {} began before {} had ended", key,
                to_string(runs[i + 1]->id), to_string(earlier.id));
      }
    }
  }

  // Whoever was lent a delivery runs it once at a time; who is lent it beside him has a token of
  // his own.
  void one_of_a_token() {
    std::map<std::pair<EventId, protocol::AttemptToken>, std::vector<const Execution*>> by_token;
    for (const Execution& one : history_.executions) {
      if (one.token.value == 0) continue;
      ++verdict_.tokens;
      by_token[{one.id, one.token}].push_back(&one);
    }
    for (auto& [key, runs] : by_token) {
      std::sort(runs.begin(), runs.end(),
                [](const Execution* a, const Execution* b) { return a->began_ns < b->began_ns; });
      for (std::size_t i = 0; i + 1 < runs.size(); ++i) {
        const Execution& earlier = *runs[i];
        if (earlier.ended_ns == 0 || earlier.ended_ns <= runs[i + 1]->began_ns) continue;
        violate(Invariant::kMonotone, "{}: attempt {} began in process {} before it ended in {}",
                to_string(key.first), key.second.value, runs[i + 1]->instance, earlier.instance);
      }
    }
  }

  void in_order() {
    std::map<std::string, std::uint64_t> last;  // position that was stored last, by key
    std::unordered_set<EventId> seen;
    for (const Change& change : history_.changes) {
      if (change.kind != Change::Kind::kStored || change.tag == 0) continue;
      const auto sent = by_tag_.find(change.tag);
      if (sent == by_tag_.end() || sent->second->ordering_key.empty()) continue;
      // One that was redriven has taken the last place in its key.
      if (!seen.insert(change.id).second || redriven_.contains(change.id)) continue;
      std::uint64_t& before = last[sent->second->ordering_key];
      if (sent->second->position < before) {
        violate(Invariant::kOrder, "key {}: number {} was committed after number {}",
                sent->second->ordering_key, sent->second->position, before);
      }
      before = std::max(before, sent->second->position);
    }
  }

  bool is_destination(const std::string& function) const {
    return !function.empty() && function == history_.destination;
  }

  // Each success, and each dead letter, is told once, and nothing else is.
  void told() {
    if (history_.destination.empty()) return;
    struct Ends {
      std::size_t successes = 0, failures = 0;
    };
    std::map<EventId, Ends> were, told;
    for (const Change& change : history_.changes) {
      if (is_destination(change.function)) {
        if (change.kind != Change::Kind::kAppended) continue;
        Ends& ends = told[change.about];
        ++(change.failure ? ends.failures : ends.successes);
        were[change.about];
        continue;
      }
      if (change.kind == Change::Kind::kLetter) ++were[change.id].failures;
      const bool success =
          change.kind == Change::Kind::kStored && change.status == protocol::Status::kSucceeded;
      if (success) ++were[change.id].successes;
    }
    verdict_.told = told.size();
    for (const auto& [id, ends] : were) {
      const Ends& heard = told[id];
      if (heard.successes < ends.successes || heard.failures < ends.failures) {
        violate(Invariant::kNoLoss, "{} ended well {} times, badly {}; told were {} and {}",
                to_string(id), ends.successes, ends.failures, heard.successes, heard.failures);
      } else if (heard.successes > ends.successes || heard.failures > ends.failures) {
        violate(Invariant::kOneCommit, "{} ended well {} times, badly {}; told were {} and {}",
                to_string(id), ends.successes, ends.failures, heard.successes, heard.failures);
      }
    }
  }

  // Each attempt counts itself in the row "n/TAG" and leaves its nonce in "e/TAG".
  void rows() {
    if (!history_.writes_rows) return;
    const auto row = [&](const char* kind, Tag tag) {
      const auto found = history_.rows.find(kind + std::to_string(tag));
      return found == history_.rows.end() ? std::string() : found->second;
    };
    std::set<Tag> committed;
    for (const Ended& one : history_.ended) {
      if (!one.has_result || one.status != protocol::Status::kSucceeded) continue;
      committed.insert(one.tag);
      const std::string count = row("n/", one.tag), nonce = row("e/", one.tag);
      if (count == "1" && nonce == std::to_string(one.nonce)) continue;
      violate(Invariant::kOneCommit, "{} succeeded by execution {}; its rows: '{}' times, '{}'",
              to_string(one.id), one.nonce, count, nonce);
    }
    for (const auto& [key, value] : history_.rows) {
      const Tag tag = std::strtoull(key.c_str() + 2, nullptr, 10);
      if (committed.contains(tag)) continue;
      violate(Invariant::kOneCommit, "row {} is {}, and tag {} has not succeeded", key, value, tag);
    }
    verdict_.rows = history_.rows.size();
  }

  void cancelled() {
    std::map<EventId, std::int64_t> answered;
    for (const Cancel& one : history_.cancels) answered.emplace(one.id, one.answered_ns);
    verdict_.cancels = answered.size();
    for (const Ended& one : history_.ended) {
      if (!answered.contains(one.id)) continue;
      if (one.has_result && one.status == protocol::Status::kCancelled) continue;
      violate(Invariant::kOneCommit, "{} was cancelled, and {}", to_string(one.id),
              one.has_result ? protocol::to_string(one.status) : "has no result");
    }
    for (const Execution& one : history_.executions) {
      const auto found = answered.find(one.id);
      if (found == answered.end() || one.began_ns <= found->second + kCancelTakesNs) continue;
      violate(Invariant::kMonotone, "{} was cancelled, and ran {:.1f} ms after that was answered",
              to_string(one.id), static_cast<double>(one.began_ns - found->second) / 1e6);
    }
  }

  // I7 and I11: what each delivery went through, step by step.
  void changes_in_sequence() {
    struct Course {
      protocol::AttemptToken moved_by;
      bool ended = false;
    };
    std::unordered_map<DeliveryKey, Course, DeliveryKeyHash> courses;
    for (const Change& change : history_.changes) {
      const DeliveryKey key{change.function, change.id};
      Course& course = courses[key];
      switch (change.kind) {
        case Change::Kind::kAppended:
          if (course.ended) violate(Invariant::kMonotone, "{} was queued anew", text_of(key));
          break;
        case Change::Kind::kPostponed:
          if (course.ended) violate(Invariant::kMonotone, "{} had ended and waits", text_of(key));
          if (change.token < course.moved_by) {
            violate(Invariant::kFencing, "{} was moved by attempt {}, after attempt {}",
                    text_of(key), change.token.value, course.moved_by.value);
          }
          course.moved_by = std::max(course.moved_by, change.token);
          break;
        case Change::Kind::kStored:
          if (change.token < course.moved_by) {
            violate(Invariant::kFencing, "{} was ended by attempt {}, after attempt {}",
                    text_of(key), change.token.value, course.moved_by.value);
          }
          course.ended = true;
          break;
        case Change::Kind::kRedriven:
          if (!course.ended) violate(Invariant::kMonotone, "{} was redriven alive", text_of(key));
          course = {.moved_by = change.token};
          break;
        case Change::Kind::kLetter:
        case Change::Kind::kPurged:
          break;
      }
    }
  }

  void conservation() {
    for (const CountsSeen& seen : history_.counts) {
      const Counts& c = seen.counts;
      const bool negative = c.accepted < 0 || c.open < 0 || c.later < 0 || c.succeeded < 0 ||
                            c.dead < 0 || c.expired < 0 || c.cancelled < 0;
      if (c.accepted == c.sum() && !negative) continue;
      violate(Invariant::kConservation, "step {}: {} accepted, {} accounted for ({} open)",
              seen.step, c.accepted, c.sum(), c.open);
    }
    std::int64_t accepted = 0;
    for (const Counts& c : history_.at_rest) {
      accepted += c.accepted;
      if (c.accepted != c.sum()) {
        violate(Invariant::kConservation, "at rest: {} accepted, {} accounted for", c.accepted,
                c.sum());
      }
      if (c.open != 0 || c.later != 0) {
        violate(Invariant::kLiveness, "at rest: {} open, {} later", c.open, c.later);
      }
    }
    if (history_.at_rest.empty() || history_.changes.empty()) return;
    std::unordered_set<DeliveryKey, DeliveryKeyHash> appended;
    for (const Change& change : history_.changes) {
      if (change.kind == Change::Kind::kAppended) appended.insert({change.function, change.id});
    }
    if (static_cast<std::int64_t>(appended.size()) != accepted) {
      violate(Invariant::kConservation, "{} deliveries were journaled and {} counted",
              appended.size(), accepted);
    }
  }

  void bounds() {
    if (!history_.came_to_rest) violate(Invariant::kLiveness, "it did not come to rest in time");
    for (const Bounded& one : history_.bounds) {
      if (one.value <= one.at_most) continue;
      violate(one.of == Bounded::Of::kTime ? Invariant::kLiveness : Invariant::kResources,
              "{}: {:.1f}, and {:.1f} is the bound", one.what, one.value, one.at_most);
    }
  }

  // Deliveries that were there at one time, at most.
  std::int64_t longest_backlog() const {
    std::int64_t most = 0;
    for (const CountsSeen& seen : history_.counts) {
      most = std::max(most, seen.counts.open + seen.counts.later);
    }
    if (!history_.counts.empty()) return most;
    for (const Counts& c : history_.at_rest) most += c.accepted;  // nobody has looked
    return most;
  }

  void resources() {
    std::int64_t events = 0;
    for (const Counts& c : history_.at_rest) events += c.accepted;
    const std::int64_t for_all = kKibKept + history_.kib_of_events +
                                 longest_backlog() * kBytesOfABacklog / 1024 +
                                 events * kBytesOfAnEvent / 1024;
    for (const Held& one : history_.held) {
      const std::int64_t kib_kept = for_all + one.clients * kKibOfAClient;
      const Holding &before = one.before, &after = one.after;
      if (const auto what = not_given_back(one); !what.empty()) {
        violate(Invariant::kResources,
                "{} keeps {}: {} descriptors, {} threads, {} children, and had {}, {}, {}",
                one.process, what, after.descriptors, after.threads, after.children,
                before.descriptors, before.threads, before.children);
      }
      if (after.kib > before.kib + kib_kept) {
        violate(Invariant::kResources, "{} keeps memory: {} KiB, and had {}; {} more may stay",
                one.process, after.kib, before.kib, kib_kept);
      }
    }
  }

  const History& history_;
  Verdict verdict_;
  std::unordered_map<Tag, const Submission*> by_tag_;
  std::unordered_set<EventId> ran_;                              // to a good end, once at least
  std::unordered_map<EventId, std::set<std::string>> not_lost_;  // functions that have it
  std::unordered_map<Tag, std::set<EventId>> appended_;
  std::unordered_map<EventId, std::size_t> redriven_;  // how often
};

}  // namespace

std::string_view name_of(Invariant invariant) {
  switch (invariant) {
    case Invariant::kNoLoss:
      return "I1 no loss";
    case Invariant::kOneCommit:
      return "I2 one commit";
    case Invariant::kNoPhantom:
      return "I3 no phantom";
    case Invariant::kUnknownOnce:
      return "I4 unknown at most once";
    case Invariant::kAccounted:
      return "I5 executions accounted for";
    case Invariant::kOrder:
      return "I6 order";
    case Invariant::kFencing:
      return "I7 fencing";
    case Invariant::kConservation:
      return "I8 conservation";
    case Invariant::kLiveness:
      return "I9 liveness";
    case Invariant::kResources:
      return "I10 resources";
    case Invariant::kMonotone:
      return "I11 monotone status";
  }
  return "unknown";
}

std::string_view not_given_back(const Held& held) {
  const Holding &before = held.before, &after = held.after;
  const std::int64_t more_children = std::max<std::int64_t>(after.children - before.children, 0);
  if (more_children > kChildrenKept) return "children";
  if (after.threads > before.threads + kThreadsKept) return "threads";
  if (after.descriptors > before.descriptors + kDescriptorsKept + kOfAChild * more_children) {
    return "descriptors";
  }
  return {};
}

Verdict check(const History& history) {
  return Checker(history).run();
}

std::string describe(const Verdict& v) {
  std::string text = fmt::format(
      "sent {}, acknowledged {}, unknown {}, refused {}; executions {} ({} repeated, {} with their "
      "tokens), "
      "succeeded {}, "
      "dead letters {}, steps of Redis {}; lost {}\n",
      v.sent, v.acknowledged, v.unknown, v.refused, v.executions, v.repeated, v.tokens, v.committed,
      v.letters, v.steps, v.lost);
  if (v.told + v.rows + v.cancels > 0) {
    text += fmt::format("  ends told {}, rows {}, cancelled {}\n", v.told, v.rows, v.cancels);
  }
  for (const Violation& violation : v.violations) {
    text += fmt::format("  {}: {}\n", name_of(violation.invariant), violation.text);
  }
  for (std::size_t i = 1; i < v.count.size(); ++i) {
    if (v.count[i] > kTextsMax) {
      text += fmt::format("  {}: {} in all\n", name_of(static_cast<Invariant>(i)), v.count[i]);
    }
  }
  return text;
}

}  // namespace fanfare::chaos
