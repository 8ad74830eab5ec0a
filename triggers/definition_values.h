// Values of triggers.toml; an error is the reason only, as "must be a text".
#pragma once

#include <toml++/toml.h>
#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"

namespace fanfare::triggers {

Result<void> read_text(const toml::node& node, std::string& target);
Result<void> read_texts(const toml::node& node, std::vector<std::string>& target);
// "256KiB" or a number, from 1 to `max`.
Result<void> read_bytes(const toml::node& node, std::size_t& target, std::size_t max);
Result<void> read_count(const toml::node& node, std::uint32_t& target, std::uint32_t max);
Result<void> read_flag(const toml::node& node, bool& target);
Result<void> read_duration(const toml::node& node, Duration& target, Duration min);

}  // namespace fanfare::triggers
