// How a webhook becomes a function.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "cli/deploy.h"
#include "cli/verbs.h"
#include "cli/webhook_definition.h"
#include "client/blocking_client.h"

namespace fanfare::cli {

// The handler that ships, under another name and with another manifest: all webhooks share one
// package. kReject: it is not beside this program.
Result<Checked> webhook_package(const WebhookDefinition& definition);

// Returns the function's generation.
Result<std::uint64_t> deploy_webhook(const Common& common, client::BlockingClient& broker,
                                     const Checked& package);

// The receiver needs a new secret if the deployment was done all the same, and nothing shows it
// again. Says nothing if there is none, or if nothing can have been done.
void say_secret_of_unknown_outcome(const Error& error, const std::string& secret);

}  // namespace fanfare::cli
