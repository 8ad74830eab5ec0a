// What operators ask, as the broker's core handles it: for the sources that answer a verb.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "broker/core.h"

namespace fanfare::broker {

// One question on its way to its answer; the references live as long as the call.
struct Core::AdminCall {
  const Peer& peer;
  std::uint64_t request;
  std::string verb;
  const nlohmann::json& body;  // an object
  std::string name;            // of a function, as the body has it; may be empty
  FunctionState* function;     // set for verbs that name one
  Now now;

  // A member that is a text; empty if there is none.
  std::string text(const char* key) const {
    const auto at = body.find(key);
    return at != body.end() && at->is_string() ? at->get<std::string>() : std::string{};
  }
};

// What an operator is told when Redis did not take a call.
inline protocol::Refusal refusal_of(const Error& error) {
  return error.kind == ErrorKind::kRetryLater ? protocol::Refusal::kUnavailable
                                              : protocol::Refusal::kInternal;
}

struct Core::AdminVerb {
  std::string_view name;
  bool names_function;  // its body has the name of a function that is deployed
  void (Core::*run)(const AdminCall& call);
};

}  // namespace fanfare::broker
