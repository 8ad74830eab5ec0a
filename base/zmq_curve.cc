#include "base/zmq_curve.h"

#include <fmt/format.h>

#include "base/zmq_endpoint.h"

namespace fanfare {

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
