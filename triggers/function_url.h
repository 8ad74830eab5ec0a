// Function URLs: an HTTP request as the JSON that a function gets, and its answer as the response.
// AWS Lambda's payload format 2.0, both ways:
// https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html
//
// No I/O.
#pragma once

#include <string>
#include <vector>

#include "base/time.h"
#include "protocol/record.h"
#include "triggers/gateway.h"

namespace fanfare::triggers {

// The request, of which `function` is the URL's own, and `path` what follows its name. The body is
// text if its content type says so and it is UTF-8, else base64. What opens the gateway, one of
// `tokens`, is left out: it is nobody else's.
std::string to_payload(const HttpExchange& exchange, const std::vector<std::string>& tokens,
                       const std::string& function, const std::string& path,
                       const std::string& request_id, WallTime now);

// What a function has returned. A JSON object with a statusCode says what the response is: its
// headers, cookies, body and isBase64Encoded. Anything else is the body of a 200, of the result's
// own content type. kReject: a statusCode, headers or a body that make no response.
Result<HttpResponse> from_output(const protocol::ResultRecord& record);

}  // namespace fanfare::triggers
