// From flags to an event.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "cli/verbs.h"
#include "protocol/event.h"

namespace fanfare::cli {

// Reads --data (from a file or standard input if so asked). kFatal: a flag makes no sense or the
// file cannot be read.
Result<protocol::Event> make_event(const EventFlags& flags);

// What a flag or argument gives: its text, the content of @FILE, or of standard input (-). `what`
// names it in errors. kReject: more than `bytes_max`.
Result<std::string> read_data(const std::string& text, std::string_view what,
                              std::size_t bytes_max);

// application/json if it parses, text/plain if it is UTF-8, else application/octet-stream.
std::string guess_content_type(std::string_view data);

}  // namespace fanfare::cli
