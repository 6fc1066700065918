"""AttnGAN's published networks, written anew after its description, with the published names of tensors."""

import torch
import torch.nn.functional as F
from torch import nn
from torchvision.models import inception_v3

INCEPTION = ["Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "Conv2d_3b_1x1", "Conv2d_4a_3x3"]
INCEPTION += [f"Mixed_{name}" for name in ("5b", "5c", "5d", "6a", "6b", "6c", "6d", "6e", "7a", "7b", "7c")]


class Gate(nn.Module):
    def forward(self, x):
        half = x.size(1) // 2
        return x[:, :half] * torch.sigmoid(x[:, half:])


def conv3(a, b):
    return nn.Conv2d(a, b, 3, stride=1, padding=1, bias=False)


def up(a, b):
    return nn.Sequential(nn.Upsample(scale_factor=2, mode="nearest"), conv3(a, 2 * b), nn.BatchNorm2d(2 * b), Gate())


class Block(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.block = nn.Sequential(conv3(c, 2 * c), nn.BatchNorm2d(2 * c), Gate(), conv3(c, c), nn.BatchNorm2d(c))

    def forward(self, x):
        return self.block(x) + x


class Augment(nn.Module):
    def __init__(self, dimension, c):
        super().__init__()
        self.c, self.fc = c, nn.Linear(dimension, 4 * c)

    def forward(self, sentence, epsilon):
        x = Gate()(self.fc(sentence))
        return x[:, : self.c] + epsilon * (0.5 * x[:, self.c :]).exp()


class First(nn.Module):
    def __init__(self, g, style):
        super().__init__()
        self.g = g
        self.fc = nn.Sequential(nn.Linear(style, g * 32, bias=False), nn.BatchNorm1d(g * 32), Gate())
        self.upsample1, self.upsample2 = up(g, g // 2), up(g // 2, g // 4)
        self.upsample3, self.upsample4 = up(g // 4, g // 8), up(g // 8, g // 16)

    def forward(self, c, z):
        x = self.fc(torch.cat((c, z), 1)).view(-1, self.g, 4, 4)
        return self.upsample4(self.upsample3(self.upsample2(self.upsample1(x))))


class Attend(nn.Module):
    def __init__(self, g, dimension):
        super().__init__()
        self.conv_context = nn.Conv2d(dimension, g, 1, bias=False)

    def forward(self, x, words):
        b, g, height, width = x.shape
        source = self.conv_context(words.unsqueeze(3)).squeeze(3)
        attention = torch.softmax(torch.bmm(x.view(b, g, -1).transpose(1, 2), source), 2)
        return torch.bmm(source, attention.transpose(1, 2)).view(b, g, height, width), attention


class Next(nn.Module):
    def __init__(self, g, dimension, blocks):
        super().__init__()
        self.att = Attend(g, dimension)
        self.residual = nn.Sequential(*[Block(2 * g) for _ in range(blocks)])
        self.upsample = up(2 * g, g)

    def forward(self, x, words):
        context, attention = self.att(x, words)
        return self.upsample(self.residual(torch.cat((x, context), 1))), attention


class Picture(nn.Module):
    def __init__(self, g):
        super().__init__()
        self.img = nn.Sequential(conv3(g, 3), nn.Tanh())

    def forward(self, x):
        return self.img(x)


class Painter(nn.Module):
    """G_NET with three stages; of one caption, whose words all count."""

    def __init__(self, g=32, dimension=256, c=100, z=100, blocks=2):
        super().__init__()
        self.ca_net = Augment(dimension, c)
        self.h_net1, self.img_net1 = First(16 * g, c + z), Picture(g)
        self.h_net2, self.img_net2 = Next(g, dimension, blocks), Picture(g)
        self.h_net3, self.img_net3 = Next(g, dimension, blocks), Picture(g)

    def forward(self, z, sentence, words, epsilon):
        x = self.h_net1(self.ca_net(sentence, epsilon), z)
        pictures, maps = [self.img_net1(x)], []
        for stage, head in ((self.h_net2, self.img_net2), (self.h_net3, self.img_net3)):
            x, attention = stage(x, words)
            pictures.append(head(x))
            maps.append(attention)
        return pictures, maps


class Reader(nn.Module):
    """RNN_ENCODER."""

    def __init__(self, words, cell="LSTM"):
        super().__init__()
        self.encoder = nn.Embedding(words, 300)
        self.rnn = getattr(nn, cell)(300, 128, 1, batch_first=True, bidirectional=True)

    def forward(self, tokens):
        outputs, hidden = self.rnn(self.encoder(tokens))
        hidden = hidden[0] if isinstance(hidden, tuple) else hidden
        return outputs.transpose(1, 2), hidden.transpose(0, 1).reshape(len(tokens), -1)


class Viewer(nn.Module):
    """CNN_ENCODER."""

    def __init__(self):
        super().__init__()
        inception = inception_v3(weights=None, aux_logits=True, init_weights=False, transform_input=False)
        for name in INCEPTION:
            setattr(self, name, getattr(inception, name))
        self.emb_features = nn.Conv2d(768, 256, 1, bias=False)
        self.emb_cnn_code = nn.Linear(2048, 256)

    def forward(self, x):
        x = F.interpolate(x, size=(299, 299), mode="bilinear", align_corners=False)
        for name in INCEPTION:
            x = getattr(self, name)(x)
            if name in ("Conv2d_2b_3x3", "Conv2d_4a_3x3"):
                x = F.max_pool2d(x, 3, stride=2)
            if name == "Mixed_6e":
                features = x
        pooled = F.avg_pool2d(x, kernel_size=8).flatten(1)
        return self.emb_features(features), self.emb_cnn_code(pooled)


def stirred(network, seed):
    """The network in evaluation mode, with statistics of batch norms as training leaves them."""
    torch.manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 1.5)
            nn.init.normal_(module.weight, 1.0, 0.02)
            nn.init.normal_(module.bias, std=0.1)
    return network.eval()


def old(network):
    """Its state as versions of torch saved it that counted no batches."""
    return {name: value for name, value in network.state_dict().items() if not name.endswith("num_batches_tracked")}
