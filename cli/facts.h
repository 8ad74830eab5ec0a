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
RedisFacts gather_redis_facts(const Address& address, std::vector<ScheduleFacts>& schedules);
BrokerFacts gather_broker_facts(const Address& address);
HostFacts gather_host_facts();
// Files, folders and sockets of an installation on this machine, and the user of its functions.
void gather_rights(const Installation& installation, Facts& facts);
std::vector<UnitFacts> gather_units();
// What `systemctl show` said: lines "Id=…", "ActiveState=…", "NRestarts=…", an empty one between
// units.
std::vector<UnitFacts> units_in(std::string_view shown);

}  // namespace fanfare::cli
