// Gathers what `fanfare doctor` judges: asks Redis, the broker, the kernel, systemd.
//
// Blocking; each question has a time limit, so that a part that hangs does not hide the rest. What
// cannot be seen stays absent. The one thing that it changes is a key that lives a second, to see
// how long a write takes.
#pragma once

#include "cli/checkup.h"
#include "cli/installation.h"

namespace fanfare::cli {

// `address`: with the client's settings.
Facts gather_facts(const Address& address);

// The parts of it, each in a source of its own.
// `facts` gets what Redis holds of schedules and autoscalers, and how many letters its functions
// have, if the broker was asked before.
void gather_redis_facts(const Address& address, Facts& facts);
BrokerFacts gather_broker_facts(const Address& address);
// With the limits of the services, or, without any, of this process.
HostFacts gather_host_facts(const std::vector<UnitFacts>& units);
// Files, folders and sockets of an installation on this machine, and the user of its functions.
void gather_rights(const Installation& installation, Facts& facts);
std::vector<UnitFacts> gather_units();
// What `systemctl show` said: lines "Id=…", "ActiveState=…", "NRestarts=…", "MainPID=…",
// "TasksMax=…", an empty one between units.
std::vector<UnitFacts> units_in(std::string_view shown);
// How many files a process may have open, by its /proc/PID/limits; 0 if they do not say.
std::uint64_t open_files_in(std::string_view limits);

}  // namespace fanfare::cli
