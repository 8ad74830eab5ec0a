#include "autoscaler/systemd_manager.h"

#include <fmt/format.h>
#include <systemd/sd-bus.h>

#include <cerrno>
#include <cstring>
#include <map>

namespace fanfare::autoscaler {
namespace {

constexpr const char* kService = "org.freedesktop.systemd1";
constexpr const char* kObject = "/org/freedesktop/systemd1";
constexpr const char* kManager = "org.freedesktop.systemd1.Manager";
constexpr std::uint64_t kCallTimeoutUs = 5'000'000;

struct Message {
  Message() = default;
  ~Message() { sd_bus_message_unref(held); }
  Message(const Message&) = delete;
  Message& operator=(const Message&) = delete;
  sd_bus_message* held = nullptr;
};

struct BusError {
  BusError() = default;
  ~BusError() { sd_bus_error_free(&held); }
  BusError(const BusError&) = delete;
  BusError& operator=(const BusError&) = delete;
  sd_bus_error held{};
};

Error failed(std::string_view what, const BusError& said, int code) {
  const bool unreachable = code == -ETIMEDOUT || code == -ECONNRESET || code == -ENOTCONN ||
                           sd_bus_error_has_name(&said.held, SD_BUS_ERROR_NO_REPLY) != 0;
  std::string text =
      fmt::format("{}: {}", what, said.held.message ? said.held.message : std::strerror(-code));
  return unreachable ? reconnect(std::move(text)) : fatal(std::move(text));
}

// `pids`: by the object of the unit that they run in.
Result<std::vector<WorkerUnit>> units_in(sd_bus_message* answer, const std::string& prefix,
                                         const std::map<std::string, std::uint32_t>& pids) {
  std::vector<WorkerUnit> units;
  int got = sd_bus_message_enter_container(answer, SD_BUS_TYPE_ARRAY, "(ssssssouso)");
  while (got > 0) {
    const char *name = nullptr, *active = nullptr, *object = nullptr;
    const char *job_type = nullptr, *other = nullptr;
    std::uint32_t job = 0;
    got = sd_bus_message_read(answer, "(ssssssouso)", &name, &other, &other, &active, &other,
                              &other, &object, &job, &job_type, &other);
    if (got <= 0) break;
    const std::uint32_t number = number_in(name, prefix);
    const std::string_view state = active;
    const std::string_view queued = job == 0 ? "" : job_type;
    if (number == 0 || !is_there(state, queued)) continue;
    const auto pid = pids.find(object);
    units.push_back({.number = number,
                     .leaving = is_leaving(state, queued),
                     .failed = has_failed(state, queued),
                     .pid = pid == pids.end() ? 0 : pid->second});
  }
  if (got < 0) return fatal(fmt::format("systemd's units cannot be read: {}", std::strerror(-got)));
  return units;
}

}  // namespace

void SystemdManager::Close::operator()(sd_bus* bus) const {
  sd_bus_flush_close_unref(bus);
}

Result<std::unique_ptr<UnitManager>> SystemdManager::connect() {
  sd_bus* bus = nullptr;
  if (const int error = sd_bus_open_system(&bus); error < 0) {
    return reconnect(fmt::format("no system bus, over which systemd is asked for workers: {}",
                                 std::strerror(-error)));
  }
  sd_bus_set_method_call_timeout(bus, kCallTimeoutUs);
  return std::unique_ptr<UnitManager>(new SystemdManager(bus));
}

std::string SystemdManager::unit_of(std::uint32_t pid) {
  Message answer;
  const char* object = nullptr;
  const int code = sd_bus_call_method(bus_.get(), kService, kObject, kManager, "GetUnitByPID",
                                      nullptr, &answer.held, "u", pid);
  if (code < 0 || sd_bus_message_read(answer.held, "o", &object) < 0) return {};
  return object;
}

Result<std::vector<WorkerUnit>> SystemdManager::units(const std::string& prefix,
                                                      const std::vector<std::uint32_t>& pids) {
  Message call, answer;
  BusError error;
  int code = sd_bus_message_new_method_call(bus_.get(), &call.held, kService, kObject, kManager,
                                            "ListUnitsByPatterns");
  const std::string pattern = prefix + "*.service";
  if (code >= 0) code = sd_bus_message_append(call.held, "as", 0);  // in whatever state
  if (code >= 0) code = sd_bus_message_append(call.held, "as", 1, pattern.c_str());
  if (code >= 0) code = sd_bus_call(bus_.get(), call.held, 0, &error.held, &answer.held);
  if (code < 0) return failed("systemd does not list its units", error, code);
  std::map<std::string, std::uint32_t> by_unit;
  for (const std::uint32_t pid : pids) by_unit[unit_of(pid)] = pid;
  return units_in(answer.held, prefix, by_unit);
}

Result<void> SystemdManager::queue_job(const char* method, const std::string& unit) {
  Message answer;
  BusError error;
  const int code = sd_bus_call_method(bus_.get(), kService, kObject, kManager, method, &error.held,
                                      &answer.held, "ss", unit.c_str(), "replace");
  if (code < 0) return failed(fmt::format("{} {}", method, unit), error, code);
  return {};
}

Result<void> SystemdManager::start(const std::string& unit) {
  // One that has failed too often is started again only after this; for others it does nothing.
  sd_bus_call_method(bus_.get(), kService, kObject, kManager, "ResetFailedUnit", nullptr, nullptr,
                     "s", unit.c_str());
  return queue_job("StartUnit", unit);
}

Result<void> SystemdManager::stop(const std::string& unit) {
  return queue_job("StopUnit", unit);
}

}  // namespace fanfare::autoscaler
