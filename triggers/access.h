// Who may use the routes that are not made for everybody.
//
// A token opens them: "Authorization: Bearer TOKEN", "X-Fanfare-Token: TOKEN", as the password of
// HTTP Basic, whoever the user is (for who can only be given an address, as Amazon SNS:
// https://any:TOKEN@host/…), or, for the AWS SDKs and CLI, as their access key id. Whoever is on
// this machine needs none, unless the settings say so: but a browser there must not be lent to the
// pages it shows, nor a proxy there to the world. So a request from loopback is trusted only if it
// is for a name of loopback (else a page's own name may have been pointed here), comes from no page
// of another origin, and says of nobody that it was forwarded.
//
// No I/O.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "triggers/http.h"

namespace fanfare::triggers {

struct AccessOptions {
  std::vector<std::string> tokens;  // compared in constant time
  bool trust_loopback = true;
};

// The response to who may not: 401 without or with an unknown token, 403 to pages. SNS sends its
// password only when asked for it, and is asked; others are not, as browsers would ask people. It
// says what would be needed, and nothing of the tokens.
std::optional<HttpResponse> refusal_of(const AccessOptions& options, const HttpExchange& exchange);

// Whether `text` is one of the tokens.
bool is_token(const std::vector<std::string>& tokens, std::string_view text);
// Whether the value of a field Authorization has one of them, in any of the ways above. Who passes
// a request on must leave it out.
bool has_token(const std::vector<std::string>& tokens, std::string_view authorization);

}  // namespace fanfare::triggers
