#pragma once
// A message that is too long to be kept still has an id, and whoever sent it waits for an answer with that id. Clients
// put it anywhere: those on the TypeScript SDK behind the params. So the message is looked through as it passes by, in
// constant memory, and without taking it for valid JSON.

#include <nlohmann/json.hpp>

#include <cstddef>
#include <string>
#include <string_view>

namespace awm::mcp {

/// Finds the id of one request that comes in pieces.
class id_scanner {
 public:
  void feed(std::string_view piece);

  /// Whether more of the message would change nothing.
  bool is_done() const { return is_over_ || (has_method_ && !id_.is_null()); }

  /// The id of the request; null as long as none is known, and for what is no request: its sender waits for nothing.
  nlohmann::json id() const { return has_method_ ? id_ : nullptr; }

 private:
  void take(char c);
  void take_structure(char c);
  void keep(char c);
  void end_member();

  std::size_t depth_ = 0;
  bool in_string_ = false;
  bool is_escaped_ = false;
  bool in_value_ = false;  // of a member of the message itself
  bool is_over_ = false;
  bool has_method_ = false;
  std::string key_;   // of that member, in its quotes
  std::string text_;  // what was read of a key, or of the value of "id"
  nlohmann::json id_;
};

}  // namespace awm::mcp
