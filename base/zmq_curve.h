// What a socket needs for CURVE: encrypted, and each end sure of the other's key.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "base/zmq_key.h"

namespace fanfare {

// Of a ROUTER. Who may connect is asked of the context's ZapHandler, without which nobody may.
struct CurveServer {
  KeyPair own;
};

// Of a DEALER. It speaks to nobody but the owner of `server`.
struct CurveClient {
  KeyPair own;
  PublicKey server;
};

// Whoever connects to a broker has these settings, in a section of its own.
struct BrokerAddress {
  std::string endpoint;
  std::string broker_key;       // the broker's public key, or a file with it
  std::string secret_key_file;  // with the own key
};

// What connecting to `address` takes. None for ipc, and for a TCP address of this machine without
// keys. kReject, naming the settings by `where` ("[worker]"), if keys are missing for a broker
// elsewhere, if there is one without the other, or if a file does not do.
Result<std::shared_ptr<const CurveClient>> curve_client(const BrokerAddress& address,
                                                        const std::string& where);

}  // namespace fanfare
