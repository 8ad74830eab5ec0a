// What a socket needs for CURVE: encrypted, and each end sure of the other's key.
#pragma once

#include <cstdint>
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

// Why a DEALER's connection came to nothing, as far as the other end has said so.
enum class ConnectRefusal : std::uint8_t {
  kKeyNotAllowed,  // it knows us, and does not let us in
  kOtherSecurity,  // one of us speaks CURVE and the other does not
  kNoHandshake,    // there is somebody, who hung up; to CURVE, with another key than we were told
};
// What to do about it, for who connects to `endpoint` with `own` keys or none: a line, and none for
// a handshake without keys that failed, which may be anything.
std::string explain(ConnectRefusal why, const std::string& endpoint, const CurveClient* own);

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
