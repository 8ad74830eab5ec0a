// Operators hold functions up: what is paused keeps queueing and is lent to nobody.
//
// The state is Redis' (the registry), so that it outlives this broker; here it counts from Redis'
// answer on. What had been lent by then is finished.
#include <nlohmann/json.hpp>

#include "broker/core_admin.h"

namespace fanfare::broker {

using nlohmann::json;

void Core::pause(const AdminCall& call) {
  set_state(call, true);
}

void Core::resume(const AdminCall& call) {
  set_state(call, false);
}

void Core::set_state(const AdminCall& admin, bool paused) {
  call(store::SetState{epoch_, admin.name, paused},
       ForSetState{{admin.peer, admin.request, admin.name}, paused});
}

void Core::on_state_set(ForSetState& purpose, const Result<store::Answer>& answer) {
  const auto& admin = purpose.admin;
  const auto* set = answer ? std::get_if<store::StateSet>(&*answer) : nullptr;
  if (!set) {
    return refuse_admin(admin.peer, admin.request, refusal_of(answer.error()),
                        answer.error().message);
  }
  FunctionState* const function = find_function(admin.function);
  if (!set->existed || !function) {
    return refuse_admin(admin.peer, admin.request, protocol::Refusal::kNoSuchFunction,
                        "function '" + admin.function + "' was removed meanwhile");
  }
  function->registered.paused = purpose.paused;
  touch(*function);
  send(admin.peer,
       protocol::AdminReply{
           admin.request,
           json{{"name", admin.function}, {"state", purpose.paused ? "paused" : "active"}}.dump()});
}

}  // namespace fanfare::broker
