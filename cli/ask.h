// Questions to the broker whose answers are JSON.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "cli/verbs.h"
#include "client/blocking_client.h"

namespace fanfare::cli {

// What the broker answers to an admin verb; kReject if that is no JSON object.
Result<nlohmann::ordered_json> ask(client::BlockingClient& broker, const std::string& verb,
                                   const nlohmann::ordered_json& body);
// The same on a connection of its own.
Result<nlohmann::ordered_json> ask(const Common& common, const std::string& verb,
                                   const nlohmann::ordered_json& body);

// A member that is a text; empty if there is none.
std::string text_of(const nlohmann::ordered_json& json, const char* key);

}  // namespace fanfare::cli
