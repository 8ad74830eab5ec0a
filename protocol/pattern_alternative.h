// One entry of a pattern's array, read from JSON. Of pattern.cc alone: nlohmann's header is
// expensive to read.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "base/result.h"
#include "protocol/pattern.h"

namespace fanfare::protocol {

// `field` names where it stands, for messages.
Result<Alternative> compile_alternative(const nlohmann::json& value, const std::string& field);

// For messages: what somebody has sent is named, not sent back.
std::string shortened(std::string text);

}  // namespace fanfare::protocol
