#pragma once
// The content blocks of tool results and prompt messages, and the contents of resources (MCP, "ContentBlock" and
// "ResourceContents").

#include <nlohmann/json.hpp>

#include <string>
#include <utility>

namespace awm::mcp {

inline nlohmann::json text_block(std::string text) {
  return {{"type", "text"}, {"text", std::move(text)}};
}

/// `data` is base64.
inline nlohmann::json image_block(std::string data, std::string mime_type) {
  return {{"type", "image"}, {"data", std::move(data)}, {"mimeType", std::move(mime_type)}};
}
inline nlohmann::json audio_block(std::string data, std::string mime_type) {
  return {{"type", "audio"}, {"data", std::move(data)}, {"mimeType", std::move(mime_type)}};
}

/// `contents` is one of the two below.
inline nlohmann::json resource_block(nlohmann::json contents) {
  return {{"type", "resource"}, {"resource", std::move(contents)}};
}
inline nlohmann::json resource_link(std::string uri, std::string name) {
  return {{"type", "resource_link"}, {"uri", std::move(uri)}, {"name", std::move(name)}};
}

inline nlohmann::json text_contents(std::string uri, std::string mime_type, std::string text) {
  return {{"uri", std::move(uri)}, {"mimeType", std::move(mime_type)}, {"text", std::move(text)}};
}
/// `blob` is base64.
inline nlohmann::json blob_contents(std::string uri, std::string mime_type, std::string blob) {
  return {{"uri", std::move(uri)}, {"mimeType", std::move(mime_type)}, {"blob", std::move(blob)}};
}

}  // namespace awm::mcp
