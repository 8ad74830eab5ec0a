// The calls that a worker may make through the broker, as messages, and their answers.
//
// Worker and broker turn the same four calls into each other, so that what reaches Redis is, byte
// for byte, what a worker with a connection of its own would have sent. What a stranger may have
// written is checked here, as far as the call alone tells: the broker checks who asks for what.
#pragma once

#include <variant>

#include "base/result.h"
#include "protocol/messages.h"
#include "store/calls.h"

namespace fanfare::store {

// What of a call may be relayed: Commit, GetRows, ListRows, Meter.
using RelayedMessage = std::variant<protocol::Commit, protocol::ReadRows, protocol::TellUsage>;

// With request 0, for the caller to fill in. Takes the call's bytes. Rejects what is no such call.
Result<RelayedMessage> to_message(Call call);

// Rejects what breaks the bounds of relay_messages.h or of the call itself.
Result<Call> to_call(protocol::Commit message);
Result<Call> to_call(protocol::ReadRows message);
Result<Call> to_call(protocol::TellUsage message);

// The answer of such a call as a message, and back. Rejects an answer to something else.
Result<protocol::Message> to_message(Answer answer, std::uint64_t request);
Result<Answer> to_answer(protocol::Message message);

}  // namespace fanfare::store
