# An overlay network by an agent's HTTP API, with a provider for REST APIs of any kind: each resource is an object under a path.

terraform {
  required_providers {
    restapi = {
      source  = "Mastercard/restapi"
      version = ">= 1.20"
    }
  }
}

variable "agent" {
  description = "The API of any host's agent. With https:// the provider takes cert_file, key_file and root_ca_file."
  type        = string
  default     = "http://127.0.0.1:9999"
}

provider "restapi" {
  uri = var.agent

  # The answer to POST /networks is {"network": {"id": …}}.
  create_returns_object = true
}

locals {
  network = {
    name     = "green"
    ip_range = "10.8.0.0/24"
  }
}

resource "restapi_object" "network" {
  path         = "/networks"
  id_attribute = "network/id"
  data         = jsonencode(local.network)

  # A network cannot be changed: another name or range is another network.
  force_new = [jsonencode(local.network)]

  # GET has what was sent within "network" too, which is no difference to be mended.
  ignore_all_server_changes = true
}

output "id" {
  value = restapi_object.network.id
}
