// What each error that Redis answers with means for a call: the one place that decides it.
#pragma once

#include <span>
#include <string_view>

#include "base/result.h"

namespace fanfare::store {

enum class OnError {
  kTell,         // the caller must know: its call had no effect
  kRepeat,       // will pass: the same call again after a pause, on the same connection
  kReconnect,    // the server behind this connection will not do: a fresh connection, then again
  kLoadLibrary,  // the function library is missing: load it, then again
};

struct ErrorRule {
  std::string_view prefix;  // of the error's text; the first rule that matches decides
  OnError action = OnError::kTell;
  ErrorKind kind = ErrorKind::kReject;  // told to the caller with kTell
  std::string_view advice;              // what a person can do, one phrase
};

std::span<const ErrorRule> error_rules();
const ErrorRule& rule_for(std::string_view error_text);

// What a caller is told: the rule's kind, Redis' own words, the advice.
Error to_error(std::string_view error_text);

}  // namespace fanfare::store
