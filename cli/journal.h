// What the services' workers have logged: out of the journal, onto standard input.
#pragma once

#include <chrono>
#include <optional>

#include "base/result.h"

namespace fanfare::cli {

using JournalTime = std::chrono::sys_time<std::chrono::microseconds>;

// Standard input becomes what journalctl prints of all fanfare-worker@ services, line by line: from
// `since` on, and to its end at `until`, or without it for ever as lines come; a read that finds
// none then is EAGAIN. It goes when this process does. kFatal if there is no journalctl.
Result<void> read_journal(std::optional<JournalTime> since, std::optional<JournalTime> until);

}  // namespace fanfare::cli
