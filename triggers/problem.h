// Errors as the gateway tells them: RFC 9457 problem details, application/problem+json.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "triggers/http.h"

namespace fanfare::triggers {

// {"title": the status' phrase, "status": …, "detail": …}. `detail` says what to do next.
HttpResponse problem(unsigned status, std::string_view detail);

// An error of publishing or invoking: 400 and 413 for what will never do, 429 with Retry-After
// while a queue is full, 503 while there is no broker or it cannot just now.
HttpResponse problem_of(const Error& error);

std::string_view reason_phrase(unsigned status);

}  // namespace fanfare::triggers
