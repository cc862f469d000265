# Networks with names, addresses and members, by `strand apply` on the machine that runs Terraform or OpenTofu. It needs no provider:
# terraform_data is Terraform's own.

terraform {
  required_version = ">= 1.4"
}

variable "nexd" {
  description = "Where nexd listens, like 192.0.2.10:6000. NEX_CA_FILE, NEX_CERT_FILE and NEX_KEY_FILE in the environment are for TLS."
  type        = string
  default     = "127.0.0.1:6000"
}

locals {
  name = "lan" # as network.yml has it
}

# The network's end, with its members. Another name is another network.
resource "terraform_data" "network" {
  input = {
    nexd = var.nexd
    name = local.name
  }
  triggers_replace = [local.name]

  provisioner "local-exec" {
    when    = destroy
    command = <<-EOT
      networks=$(strand get networks) || exit 1
      printf '%s\n' "$networks" | grep -qxF "$NAME" || exit 0 # it is gone already
      strand delete network "$NAME"
    EOT
    environment = {
      NEX_SERVER = self.input.nexd
      NAME       = self.input.name
    }
  }
}

# Its contents: a new text is applied over the old one, and the network stays where it is. A member that has left the file is deleted.
resource "terraform_data" "contents" {
  input            = file("${path.module}/network.yml")
  triggers_replace = [terraform_data.network.id, file("${path.module}/network.yml")]

  provisioner "local-exec" {
    command = "printf '%s' \"$SPEC\" | strand apply --prune --yes -"
    environment = {
      NEX_SERVER = terraform_data.network.input.nexd
      SPEC       = self.input
    }
  }
}
