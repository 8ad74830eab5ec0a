// fanfare dlq redrive, purge: dead letters become deliveries again, or go.
//
// The letters are read from Redis, page by page, oldest first, and named to the broker, which alone
// changes anything. What is asked twice happens once, so a call whose answer was lost is simply
// made again; and whoever stops this command half-way may run it again.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

#include "cli/confirm.h"
#include "cli/letters.h"
#include "cli/verbs.h"

namespace fanfare::cli {
namespace {

using Clock = std::chrono::steady_clock;
using nlohmann::json;
using nlohmann::ordered_json;
using namespace std::chrono_literals;

constexpr std::size_t kLettersPerCall = 128;
constexpr auto kPatience = 30s;  // with a broker that is away or busy

struct Totals {
  std::uint64_t matched = 0;
  std::uint64_t redriven = 0, gone = 0, waiting = 0, unreadable = 0;  // redrive
  std::uint64_t purged = 0;                                           // purge
};

// Names letters to the broker, in calls of at most 128, and no faster than it was told.
class Changer {
 public:
  Changer(const Common& common, std::string verb, const DlqCommand& command)
      : common_(common), verb_(std::move(verb)), command_(command) {
    if (command.rate > 0) {
      most_ = static_cast<std::size_t>(std::clamp(command.rate / 10, 1.0, double{kLettersPerCall}));
    }
  }

  // Reads all letters that are meant, and changes them unless this is a dry run.
  Result<Totals> run(const LetterFilter& filter, RedisSync& redis) {
    auto pages = LetterPages::open(redis, command_.function, LetterPages::Order::kOldestFirst);
    if (!pages) return pages.error();
    const std::uint64_t limit = command_.limit.value_or(~std::uint64_t{0});
    while (totals_.matched < limit) {
      const auto letters = pages->next();
      if (!letters) return letters.error();
      if (letters->empty()) break;
      for (const Letter& letter : *letters) {
        if (totals_.matched == limit || !filter.takes(letter)) continue;
        ++totals_.matched;
        if (command_.dry_run) continue;
        batch_.push_back(to_string(letter.letter));
        if (batch_.size() < most_) continue;
        if (auto sent = send(); !sent) return sent.error();
      }
    }
    while (!batch_.empty()) {
      if (auto sent = send(); !sent) return sent.error();
    }
    totals_.unreadable += pages->unreadable();
    if (common_.output.progress && named_ > 0) fmt::print(stderr, "\n");
    return totals_;
  }

 private:
  // One call; what the broker did not look at stays in the batch.
  Result<void> send() {
    if (!broker_) {
      auto connected = connect_broker(common_.address);
      if (!connected) return connected.error();
      broker_ = *std::move(connected);
    }
    if (command_.rate > 0) {
      std::this_thread::sleep_until(
          started_ + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(
                         static_cast<double>(named_) / command_.rate)));
    }
    const auto answer = ask();
    if (!answer) return answer.error();
    const auto taken =
        std::min<std::uint64_t>(answer->value("taken", batch_.size()), batch_.size());
    batch_.erase(batch_.begin(), batch_.begin() + static_cast<std::ptrdiff_t>(taken));
    named_ += taken;
    const auto add = [&](std::uint64_t& total, const char* key) {
      total += answer->value(key, std::uint64_t{0});
    };
    add(totals_.redriven, "redriven");
    add(totals_.gone, "gone");
    add(totals_.waiting, "waiting");
    add(totals_.unreadable, "unreadable");
    add(totals_.purged, "purged");
    if (common_.output.progress) {
      fmt::print(stderr, "\r{} {} ", named_, verb_ == "redrive" ? "redriven" : "purged");
    }
    return {};
  }

  Result<json> ask() {
    const std::string body = json{{"name", command_.function}, {"letters", batch_}}.dump();
    for (const auto give_up = Clock::now() + kPatience;;) {
      const auto answer = broker_->admin(verb_, body);
      if (answer) {
        json parsed = json::parse(*answer, nullptr, /*allow_exceptions=*/false);
        if (parsed.is_object()) return parsed;
        return reject("the broker's answer is not JSON");
      }
      const ErrorKind kind = answer.error().kind;
      const bool passes = kind == ErrorKind::kRetryLater || kind == ErrorKind::kReconnect;
      if (!passes || Clock::now() >= give_up) return answer.error();
      std::this_thread::sleep_for(200ms);
    }
  }

  const Common& common_;
  const std::string verb_;
  const DlqCommand& command_;
  std::unique_ptr<client::BlockingClient> broker_;
  const Clock::time_point started_ = Clock::now();
  std::size_t most_ = kLettersPerCall;
  std::vector<std::string> batch_;
  std::uint64_t named_ = 0;
  Totals totals_;
};

// The letters that were named one by one are all to be there.
Result<void> check_found(const DlqCommand& command, const LetterFilter& filter,
                         const Totals& totals) {
  if (filter.ids.empty() || filter.where || totals.matched >= filter.ids.size()) return {};
  return reject(fmt::format(
      "not_found: {} of the {} events have no dead letter of {}; see `fanfare "
      "dlq list {}`",
      filter.ids.size() - totals.matched, filter.ids.size(), command.function, command.function));
}

std::string plural(std::uint64_t count, const char* what) {
  return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

void say(const std::string& text, std::uint64_t count) {
  if (count > 0) fmt::print("{}: {}\n", text, count);
}

}  // namespace

int run_dlq_redrive(const Common& common, const DlqCommand& command) {
  const auto filter = make_letter_filter(command.where, command.ids);
  if (!filter) return fail(common.output, filter.error());
  auto redis = connect_redis(common.address);
  if (!redis) return fail(common.output, redis.error());
  const auto totals = Changer(common, "redrive", command).run(*filter, *redis);
  if (!totals) return fail(common.output, totals.error());
  if (common.output.json) {
    print_line(ordered_json{{"function", command.function},
                            {"dry_run", command.dry_run},
                            {"matched", totals->matched},
                            {"redriven", totals->redriven},
                            {"gone", totals->gone},
                            {"waiting", totals->waiting},
                            {"unreadable", totals->unreadable}}
                   .dump());
  } else if (command.dry_run) {
    fmt::print("would redrive {} of {}\n", plural(totals->matched, "letter"), command.function);
  } else {
    fmt::print("redrove {} of {}\n", plural(totals->redriven, "letter"), command.function);
    say("  no longer dead letters when it was their turn", totals->gone);
    say("  of deliveries that wait already", totals->waiting);
    say("  not readable by this version; left alone", totals->unreadable);
  }
  if (auto found = check_found(command, *filter, *totals); !found) {
    return fail(common.output, found.error());
  }
  return kDone;
}

int run_dlq_purge(const Common& common, const DlqCommand& command) {
  const auto filter = make_letter_filter(command.where, command.ids);
  if (!filter) return fail(common.output, filter.error());
  auto redis = connect_redis(common.address);
  if (!redis) return fail(common.output, redis.error());
  if (!command.dry_run && !command.yes) {
    DlqCommand look = command;
    look.dry_run = true;
    const auto meant = Changer(common, "purge_letters", look).run(*filter, *redis);
    if (!meant) return fail(common.output, meant.error());
    const auto sure = confirm(fmt::format("Delete {} of {} for good?",
                                          plural(meant->matched, "dead letter"), command.function));
    if (!sure) return fail(common.output, sure.error());
    if (!*sure) {
      fmt::print("nothing was deleted\n");
      return kDone;
    }
  }
  const auto totals = Changer(common, "purge_letters", command).run(*filter, *redis);
  if (!totals) return fail(common.output, totals.error());
  if (common.output.json) {
    print_line(ordered_json{{"function", command.function},
                            {"dry_run", command.dry_run},
                            {"matched", totals->matched},
                            {"purged", totals->purged}}
                   .dump());
  } else {
    fmt::print("{} {} of {}\n", command.dry_run ? "would purge" : "purged",
               plural(command.dry_run ? totals->matched : totals->purged, "letter"),
               command.function);
  }
  if (auto found = check_found(command, *filter, *totals); !found) {
    return fail(common.output, found.error());
  }
  return kDone;
}

}  // namespace fanfare::cli
