#include "autoscaler/systemd_driver.h"

#include <fmt/format.h>

#include <deque>
#include <optional>

namespace fanfare::autoscaler {
namespace {

using Numbers = std::vector<std::uint32_t>;

std::string unit_of(const std::string& prefix, std::uint32_t number) {
  return fmt::format("{}{}.service", prefix, number);
}

void add(std::string& text, std::string_view what, const Numbers& numbers) {
  if (numbers.empty()) return;
  text += fmt::format("{}{} {}", text.empty() ? "" : "; ", what, fmt::join(numbers, ", "));
}

// The broker has refused to take it back: one that has not been told to stop it does not know, of
// another it may yet be that it cannot.
bool may_be_quiet(const Drain& drain, const Error& refused) {
  return drain.stopped || refused.kind != ErrorKind::kReject;
}

void keep_first(std::optional<Error>& kept, const Error& error) {
  if (!kept) kept = error;
}

}  // namespace

// What systemd was asked for, and what it took.
struct SystemdDriver::Carried {
  Numbers started, refused, stopped;
  std::optional<Error> trouble;  // the first
};

struct SystemdDriver::Change {
  // What the broker is told of one worker, and what that is for.
  enum class What : std::uint8_t { kFree, kTakeBack, kQuiet };
  struct Word {
    What what;
    Drain drain;
  };

  explicit Change(const Steps& steps) : start(steps.start), stop(steps.stop) {
    for (const Drain& drain : steps.free) words.push_back({What::kFree, drain});
    for (const Drain& drain : steps.take_back) words.push_back({What::kTakeBack, drain});
    for (const Drain& drain : steps.quiet) words.push_back({What::kQuiet, drain});
  }

  std::deque<Word> words;  // not said yet
  Numbers start, stop;
  Numbers taken_back, quiet;
  std::optional<Error> trouble;  // the first
  OnScaled on_scaled;
};

namespace {

// One that is refused keeps no other from its start. Where systemd does not answer the others wait
// for the next time: each would take as long.
template <typename Carried>
Carried carry_out(UnitManager& systemd, const std::string& prefix, const Numbers& start,
                  const Numbers& stop) {
  Carried carried;
  const auto each = [&](const Numbers& numbers, auto call, Numbers& done, Numbers* refused) {
    for (const std::uint32_t number : numbers) {
      if (carried.trouble && carried.trouble->kind == ErrorKind::kReconnect) return;
      const auto taken = (systemd.*call)(unit_of(prefix, number));
      if (taken) {
        done.push_back(number);
        continue;
      }
      if (refused && taken.error().kind != ErrorKind::kReconnect) refused->push_back(number);
      if (!carried.trouble || taken.error().kind == ErrorKind::kReconnect) {
        carried.trouble = taken.error();
      }
    }
  };
  each(start, &UnitManager::start, carried.started, &carried.refused);
  each(stop, &UnitManager::stop, carried.stopped, nullptr);
  return carried;
}

}  // namespace

SystemdDriver::SystemdDriver(Loop& loop, SystemdOptions options)
    : loop_(loop), options_(std::move(options)) {}

SystemdDriver::~SystemdDriver() {
  if (call_.joinable()) call_.join();
}

template <typename Answer>
void SystemdDriver::run(std::function<Answer()> ask, std::function<void(Answer)> tell) {
  if (call_.joinable()) call_.join();  // it has answered
  call_ = std::thread(
      [&loop = loop_, ask = std::move(ask), tell = std::move(tell), alive = std::weak_ptr(alive_)] {
        loop.post_from_any_thread([tell, alive, answer = ask()] {
          if (!alive.expired()) tell(answer);
        });
      });
}

void SystemdDriver::count(const std::vector<ConnectedWorker>& connected, OnCount on_count) {
  const TimePoint now = loop_.now().steady;
  std::vector<std::uint32_t> pids;
  for (const ConnectedWorker& worker : connected) {
    if (worker.host == options_.boot && worker.pid != 0) pids.push_back(worker.pid);
  }
  using Units = Result<std::vector<WorkerUnit>>;
  run<Units>(
      [&options = options_, pids]() -> Units {
        auto systemd = options.connect();
        if (!systemd) return systemd.error();
        return (*systemd)->units(options.prefix, pids);
      },
      [this, now, connected, on_count = std::move(on_count)](Units units) {
        if (!units) return on_count(units.error());
        forget_old_failures(*units, attempts_, now);
        fleet_ = {*std::move(units), connected, options_.boot, set_aside(attempts_, now)};
        on_count(autoscaler::count(fleet_, drains_));
      });
}

void SystemdDriver::scale_to(std::uint32_t workers, OnScaled on_scaled) {
  const Steps steps = steps_to(workers, fleet_, drains_, loop_.now().steady, options_.finish_time);
  for (const std::uint32_t number : steps.forget) drains_.erase(number);
  auto change = std::make_shared<Change>(steps);
  change->on_scaled = std::move(on_scaled);
  next_word(change);
}

void SystemdDriver::next_word(const std::shared_ptr<Change>& change) {
  if (change->words.empty()) return move_units(change);
  const Change::Word& word = change->words.front();
  options_.tell_broker(word.drain.worker, word.what == Change::What::kQuiet,
                       [this, change, alive = std::weak_ptr(alive_)](const Result<void>& done) {
                         if (alive.expired()) return;
                         on_word(*change, change->words.front().drain, done);
                         change->words.pop_front();
                         next_word(change);
                       });
}

// A broker that rejects knows of no such worker, or cannot have it back, or cannot make it quiet.
// Anything else is tried again with the next tick.
void SystemdDriver::on_word(Change& change, const Drain& drain, const Result<void>& done) {
  const std::uint32_t number = drain.number;
  if (!done && done.error().kind != ErrorKind::kReject) {
    return keep_first(change.trouble, done.error());
  }
  switch (change.words.front().what) {
    case Change::What::kFree:
      drains_.erase(number);
      break;
    case Change::What::kTakeBack:
      if (!done) {
        drains_[number].lost = true;
        return keep_first(change.trouble, done.error());
      }
      drains_.erase(number);
      change.taken_back.push_back(number);
      break;
    case Change::What::kQuiet:
      if (!done) {
        change.stop.push_back(number);
        break;
      }
      drains_[number] = drain;
      change.quiet.push_back(number);
      break;
  }
}

void SystemdDriver::move_units(const std::shared_ptr<Change>& change) {
  if (change->start.empty() && change->stop.empty()) {
    loop_.post([this, change, alive = std::weak_ptr(alive_)] {
      if (!alive.expired()) on_moved(*change, {});
    });
    return;
  }
  run<Carried>(
      [&options = options_, start = change->start, stop = change->stop] {
        auto systemd = options.connect();
        if (!systemd) return Carried{.trouble = systemd.error()};
        return carry_out<Carried>(**systemd, options.prefix, start, stop);
      },
      [this, change](const Carried& carried) { on_moved(*change, carried); });
}

void SystemdDriver::on_moved(Change& change, const Carried& carried) {
  const TimePoint now = loop_.now().steady;
  for (const std::uint32_t number : carried.started) attempts_.started[number] = now;
  for (const std::uint32_t number : carried.refused) attempts_.refused[number] = now;
  for (const std::uint32_t number : carried.stopped) {
    const auto drain = drains_.find(number);
    if (drain == drains_.end()) continue;
    drain->second.stopped = true;
    // systemd may have started it anew since it was told to finish.
    for (const WorkerUnit& unit : fleet_.units) {
      if (unit.number == number && unit.pid != 0) drain->second.pid = unit.pid;
    }
  }
  std::string text;
  add(text, "took back", change.taken_back);
  add(text, "started", carried.started);
  add(text, "told to finish:", change.quiet);
  add(text, "stopping", carried.stopped);
  if (carried.trouble) keep_first(change.trouble, *carried.trouble);
  if (!change.trouble) return change.on_scaled(text);
  if (!text.empty()) change.trouble->message += "; " + text;
  change.on_scaled(*change.trouble);
}

void SystemdDriver::adopt(std::vector<Drain> drains) {
  for (Drain& drain : drains) drains_[drain.number] = std::move(drain);
}

void SystemdDriver::release(OnReleased on_released) {
  auto left = std::make_shared<std::vector<Drain>>();
  auto open = std::make_shared<std::size_t>(drains_.size());
  const auto one_less = [left, open, on_released = std::move(on_released)] {
    if (--*open == 0) on_released(*left);
  };
  if (drains_.empty()) {
    *open = 1;
    loop_.post([one_less, alive = std::weak_ptr(alive_)] {
      if (!alive.expired()) one_less();
    });
  }
  for (const auto& [number, drain] : drains_) {
    options_.tell_broker(
        drain.worker, false,
        [left, one_less, drain, alive = std::weak_ptr(alive_)](const Result<void>& done) {
          if (alive.expired()) return;
          if (!done && may_be_quiet(drain, done.error())) left->push_back(drain);
          one_less();
        });
  }
}

}  // namespace fanfare::autoscaler
