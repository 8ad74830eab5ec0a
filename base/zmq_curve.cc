#include "base/zmq_curve.h"

#include <fmt/format.h>

#include "base/zmq_endpoint.h"

namespace fanfare {

std::string explain(ConnectRefusal why, const std::string& endpoint, const CurveClient* own) {
  switch (why) {
    case ConnectRefusal::kKeyNotAllowed:
      return fmt::format(
          "the broker at {} refused the connection: key not allowed{}; `ops/keys add` on its "
          "machine allows one",
          endpoint, own ? fmt::format(" ({})", own->own.open.text()) : "");
    case ConnectRefusal::kOtherSecurity:
      return own ? fmt::format(
                       "what listens at {} is not encrypted: it is no address of a broker's "
                       "[broker] listen",
                       endpoint)
                 : fmt::format(
                       "the broker at {} refused the connection: it wants keys (broker_key and "
                       "curve_secret_key_file); `ops/keys add` on its machine makes them",
                       endpoint);
    case ConnectRefusal::kNoHandshake:
      return own ? fmt::format("what listens at {} hung up: is its public key {}?", endpoint,
                               own->server.text())
                 : std::string{};
  }
  return {};
}

Result<std::shared_ptr<const CurveClient>> curve_client(const BrokerAddress& address,
                                                        const std::string& where) {
  if (address.endpoint.starts_with("ipc://")) return std::shared_ptr<const CurveClient>{};
  const bool has_key = !address.broker_key.empty();
  const bool has_secret = !address.secret_key_file.empty();
  if (!has_key && !has_secret && is_local(address.endpoint)) {
    return std::shared_ptr<const CurveClient>{};
  }
  if (!has_key || !has_secret) {
    return reject(fmt::format(
        "{} broker '{}' wants {}: `ops/keys add NAME --role …` on the broker's machine makes the "
        "keys and says where they go",
        where, address.endpoint,
        has_key      ? "curve_secret_key_file as well"
        : has_secret ? "broker_key as well"
                     : "broker_key and curve_secret_key_file, as it is not of this machine"));
  }
  auto server = public_key_from(address.broker_key);
  if (!server) return reject(fmt::format("{} broker_key: {}", where, server.error().message));
  auto own = KeyPair::read(address.secret_key_file);
  if (!own) {
    return reject(fmt::format("{} curve_secret_key_file: {}", where, own.error().message));
  }
  return std::make_shared<const CurveClient>(CurveClient{*std::move(own), *std::move(server)});
}

}  // namespace fanfare
