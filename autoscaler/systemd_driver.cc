#include "autoscaler/systemd_driver.h"

#include <fmt/format.h>

#include "autoscaler/systemd_manager.h"
#include "autoscaler/worker_units.h"

namespace fanfare::autoscaler {
namespace {

std::string unit_of(const std::string& prefix, std::uint32_t number) {
  return fmt::format("{}{}.service", prefix, number);
}

Result<WorkerSet> count_units(const std::string& prefix, const Starts& starts, TimePoint now) {
  auto systemd = SystemdManager::connect();
  if (!systemd) return systemd.error();
  auto units = systemd->units(prefix);
  if (!units) return units.error();
  forget_old_failures(*units, starts, now);
  return count(*units);
}

struct Scaled {
  Result<std::string> said;
  UnitChanges done;
};

Result<std::string> make(const UnitChanges& changes, SystemdManager& systemd,
                         const std::string& prefix) {
  for (const std::uint32_t number : changes.start) {
    if (auto started = systemd.start(unit_of(prefix, number)); !started) return started.error();
  }
  for (const std::uint32_t number : changes.stop) {
    if (auto stopped = systemd.stop(unit_of(prefix, number)); !stopped) return stopped.error();
  }
  if (changes.stop.empty() && changes.start.empty()) return std::string{"nothing to change"};
  if (changes.stop.empty()) return fmt::format("started {}", fmt::join(changes.start, ", "));
  return fmt::format("stopping {}, which drain", fmt::join(changes.stop, ", "));
}

Scaled scale_units(const std::string& prefix, std::uint32_t workers, const Starts& starts,
                   TimePoint now) {
  auto systemd = SystemdManager::connect();
  if (!systemd) return {systemd.error(), {}};
  auto units = systemd->units(prefix);
  if (!units) return {units.error(), {}};
  forget_old_failures(*units, starts, now);
  UnitChanges changes = changes_to(*std::move(units), workers);
  auto said = make(changes, *systemd, prefix);
  return {std::move(said), std::move(changes)};
}

}  // namespace

SystemdDriver::SystemdDriver(Loop& loop, std::string prefix)
    : loop_(loop), prefix_(std::move(prefix)) {}

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

void SystemdDriver::count(OnCount on_count) {
  run<Result<WorkerSet>>([prefix = prefix_, starts = starts_,
                          now = loop_.now().steady] { return count_units(prefix, starts, now); },
                         std::move(on_count));
}

void SystemdDriver::scale_to(std::uint32_t workers, OnScaled on_scaled) {
  const TimePoint now = loop_.now().steady;
  run<Scaled>([prefix = prefix_, workers, starts = starts_,
               now] { return scale_units(prefix, workers, starts, now); },
              [this, now, on_scaled = std::move(on_scaled)](const Scaled& scaled) {
                for (const std::uint32_t number : scaled.done.start) starts_[number] = now;
                on_scaled(scaled.said);
              });
}

}  // namespace fanfare::autoscaler
